// SPDX-License-Identifier: BSD-3-Clause
#include "commands.h"
#include "completion_script.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  source <(llmcodec completion bash)                     # in ~/.bashrc\n"
    "  llmcodec completion zsh > ~/.zfunc/_llmcodec           # a folder of $fpath\n"
    "  llmcodec completion fish > ~/.config/fish/completions/llmcodec.fish";

}  // namespace

void add_completion(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  command->footer(std::string("Examples:\n") + kExamples);
  auto shell = std::make_shared<std::string>();
  one_of(command->add_option("SHELL", *shell, "the shell"), {"bash", "zsh", "fish"})->required();
  session.on_command(command, [&session, &app, shell] {
    const Shell kind = *shell == "bash" ? Shell::kBash : *shell == "zsh" ? Shell::kZsh : Shell::kFish;
    session.print(completion_script(app, kind));
    return Status::ok();
  });
}

}  // namespace llmcodec::cli
