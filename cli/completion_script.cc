// SPDX-License-Identifier: BSD-3-Clause
#include "completion_script.h"

#include <fmt/format.h>

#include <vector>

namespace llmcodec::cli {
namespace {

struct OptionWords {
  std::vector<std::string> names;    // "--dtype", "-o"
  std::vector<std::string> choices;  // fixed values, when it has them
  std::string what;
  bool takes_value = false;
  bool positional = false;
};

struct CommandWords {
  std::string name, what;
  std::vector<std::string> subcommands;
  std::vector<OptionWords> options;
};

// one_of() names the words "{a,b,c}" as the option's type.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{'), end = type.rfind('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

void add_options(const CLI::App& app, CommandWords* command) {
  for (const CLI::Option* option : app.get_options()) {
    OptionWords words;
    for (const std::string& name : option->get_lnames()) words.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) words.names.push_back("-" + name);
    words.positional = words.names.empty();
    words.choices = choices_of(*option);
    words.what = option->get_description();
    words.takes_value = option->get_items_expected_max() > 0;
    command->options.push_back(std::move(words));
  }
}

// A command's words; those of its own subcommands count as its options.
CommandWords words_of(const CLI::App& app) {
  CommandWords command{app.get_name(), app.get_description(), {}, {}};
  add_options(app, &command);
  for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; })) {
    command.subcommands.push_back(subcommand->get_name());
    add_options(*subcommand, &command);
  }
  return command;
}

std::vector<CommandWords> commands_of(const CLI::App& app) {
  std::vector<CommandWords> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(words_of(*command));
  return commands;
}

// Text inside single quotes of any of the three shells.
std::string in_quotes(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c != '\'' && c != '\\' && c != '\n') safe += c;
  }
  return safe;
}

// Words that may stand first after the command: its subcommands and the choices of its positional.
std::vector<std::string> first_words(const CommandWords& command) {
  std::vector<std::string> words = command.subcommands;
  for (const OptionWords& option : command.options) {
    if (option.positional) words.insert(words.end(), option.choices.begin(), option.choices.end());
  }
  return words;
}

std::string bash_script(const std::vector<CommandWords>& commands) {
  std::string names, values, options;
  for (const CommandWords& command : commands) {
    names += " " + command.name;
    std::string words;
    for (const OptionWords& option : command.options) {
      for (const std::string& name : option.names) {
        words += " " + name;
        if (!option.choices.empty())
          values +=
              fmt::format("    '{} {}') words='{}' ;;\n", command.name, name, fmt::join(option.choices, " "));
      }
    }
    options += fmt::format("      {}) words='{}' plain='{}' ;;\n", command.name, words,
                           fmt::join(first_words(command), " "));
  }
  return fmt::format(R"(# llmcodec completion for bash: source <(llmcodec completion bash)
_llmcodec() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words= plain=
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '{} --help --version' -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD - 1]}}" in
{}  esac
  if [[ -z $words ]]; then
    case ${{COMP_WORDS[1]}} in
{}    esac
    [[ $current == -* ]] || words=$plain
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ $current == -* || -n $words ]] || COMPREPLY=($(compgen -f -- "$current"))
}}
complete -o filenames -F _llmcodec llmcodec
)",
                     names.substr(names.empty() ? 0 : 1), values, options);
}

std::string zsh_option(const OptionWords& option) {
  std::string what;  // brackets and colons divide the parts of a specification
  for (const char c : in_quotes(option.what)) {
    if (c != '[' && c != ']' && c != ':') what += c;
  }
  const std::string value = !option.takes_value ? ""
                            : option.choices.empty()
                                ? ":value:_files"
                                : fmt::format(":value:({})", fmt::join(option.choices, " "));
  if (option.positional) return fmt::format("        '*{}'\n", value);
  std::string lines;
  for (const std::string& name : option.names)
    lines += fmt::format("        '*{}[{}]{}'\n", name, what, value);
  return lines;
}

std::string zsh_script(const std::vector<CommandWords>& commands) {
  std::string names, cases;
  for (const CommandWords& command : commands) {
    names += fmt::format("    '{}:{}'\n", command.name, in_quotes(command.what));
    std::string options;
    for (const OptionWords& option : command.options) options += option.positional ? "" : zsh_option(option);
    const std::vector<std::string> plain = first_words(command);
    options += plain.empty() ? "        '*:file:_files'\n"
                             : fmt::format("        '*:word:({})'\n", fmt::join(plain, " "));
    cases += fmt::format("    {})\n      specs=(\n{}      ) ;;\n", command.name, options);
  }
  return fmt::format(R"(#compdef llmcodec
# llmcodec completion for zsh: source <(llmcodec completion zsh), or save it as _llmcodec in a folder of $fpath
_llmcodec() {{
  local -a commands specs
  commands=(
{}  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  case $words[2] in
{}  esac
  shift words
  ((CURRENT--))
  _arguments $specs
}}
compdef _llmcodec llmcodec
)",
                     names, cases);
}

std::string fish_option(const std::string& command, const OptionWords& option) {
  std::string line = fmt::format("complete -c llmcodec -n '__fish_seen_subcommand_from {}'", command);
  for (const std::string& name : option.names)
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  if (option.takes_value)
    line += option.choices.empty() ? " -r -F" : fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
  return line + fmt::format(" -d '{}'\n", in_quotes(option.what));
}

std::string fish_script(const std::vector<CommandWords>& commands) {
  std::string text = "# llmcodec completion for fish: llmcodec completion fish | source\n";
  for (const CommandWords& command : commands) {
    text += fmt::format("complete -c llmcodec -n __fish_use_subcommand -f -a {} -d '{}'\n", command.name,
                        in_quotes(command.what));
    const std::vector<std::string> plain = first_words(command);
    if (!plain.empty())
      text += fmt::format("complete -c llmcodec -n '__fish_seen_subcommand_from {}' -f -a '{}'\n",
                          command.name, fmt::join(plain, " "));
    for (const OptionWords& option : command.options)
      text += option.positional ? "" : fish_option(command.name, option);
  }
  return text;
}

}  // namespace

std::string completion_script(const CLI::App& app, Shell shell) {
  const std::vector<CommandWords> commands = commands_of(app);
  switch (shell) {
    case Shell::kBash:
      return bash_script(commands);
    case Shell::kZsh:
      return zsh_script(commands);
    case Shell::kFish:
      return fish_script(commands);
  }
  return {};
}

}  // namespace llmcodec::cli
