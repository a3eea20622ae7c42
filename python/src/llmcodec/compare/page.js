"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  const print = matchMedia("print");

  // What of a figure depends on the page: colours, and on phones the legend's place.
  const dressed = (layout) => {
    const light = !dark.matches || print.matches;
    const text = light ? "#1b1f24" : "#e6edf3", grid = light ? "#e3e7eb" : "#2b3138";
    const axis = (given) => ({ ...given, gridcolor: grid, zerolinecolor: light ? "#8b949e" : "#6e7681", linecolor: grid });
    const legend = narrow.matches
      ? { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } }
      : { x: 1.01, y: 1, font: { size: 12 } };
    return {
      ...layout, legend, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
      height: layout.height + (narrow.matches ? 160 : 0),
      font: { color: text, family: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { bgcolor: light ? "#ffffff" : "#161b22", bordercolor: grid, font: { color: text } },
    };
  };

  // Buttons over a chart: none of plotly's that would send it away, and none on phones, where they would lie on the legend.
  const options = () => ({
    responsive: true, displaylogo: false, showSendToCloud: false, displayModeBar: narrow.matches ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  });
  const places = [...document.querySelectorAll("[data-figure]")];
  const draw = () => places.forEach((place) => {
    const figure = figures[place.dataset.figure];
    Plotly.react(place, figure.data, dressed(figure.layout), options());
  });
  draw();
  for (const query of [dark, narrow, print]) query.addEventListener("change", draw);

  const said = document.getElementById("said");
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // a page from a file has no clipboard in some browsers
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", async () => {
    const place = button.nextElementSibling;
    const rows = [...place.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => cell.textContent).join("\t"));
    await copied(rows.length ? rows.join("\n") : place.textContent);
    button.textContent = "Copied";
    said.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 1500);
  }));
})();
