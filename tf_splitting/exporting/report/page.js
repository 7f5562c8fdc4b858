"use strict";
(() => {
  const read = (id) => document.getElementById(id).textContent;
  const light = read("figures");
  const pairs = Object.entries(JSON.parse(read("dark")));
  const dark = pairs.reduce((text, [from, to]) => text.replaceAll(from, to), light);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let chosen = null;

  const isDark = () => (chosen === null ? system.matches : chosen);

  const draw = (panel) => {
    // What is hidden has no width; it is drawn when it is shown.
    if (panel.hidden) return;
    const { data, layout } = JSON.parse(isDark() ? dark : light)[panel.id];
    const options = { displayModeBar: false, responsive: true };
    Plotly.react(panel.querySelector(".plot"), data, layout, options);
  };

  const drawAll = () => {
    root.dataset.theme = isDark() ? "dark" : "light";
    document.querySelectorAll(".figure").forEach(draw);
  };

  const choose = (tab) => {
    for (const other of tab.parentElement.children) {
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      other.setAttribute("aria-selected", other === tab);
      panel.hidden = other !== tab;
      draw(panel);
    }
  };

  document.querySelectorAll("[role=tab]").forEach((tab) =>
    tab.addEventListener("click", () => choose(tab)));
  document.getElementById("theme").addEventListener("click", () => {
    chosen = !isDark();
    drawAll();
  });
  system.addEventListener("change", drawAll);
  drawAll();
})();
