"use strict";
// Draws the figures in the colours of the reader's theme, one after the other; sorts the table of trials.

const figures = JSON.parse(document.getElementById("figures").textContent);
const hasWebGL = document.createElement("canvas").getContext("webgl") !== null;
const dark = matchMedia("(prefers-color-scheme: dark)");

function themed(layout) {
  const ink = dark.matches ? "#e4e8ee" : "#1c2128", line = dark.matches ? "#2b323c" : "#e3e7ec";
  const paper = dark.matches ? "#171b21" : "#ffffff";
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, zeroline: false, automargin: true,
                 title: { standoff: 8 } };
  const template = { layout: {
    paper_bgcolor: paper, plot_bgcolor: paper, font: { color: ink, size: 12, family: "system-ui, 'DejaVu Sans', sans-serif" },
    xaxis: axis, yaxis: axis, colorway: ["#2f6fed"],
    hoverlabel: { bgcolor: paper, bordercolor: line, font: { color: ink }, align: "left" },
  } };
  return { ...layout, template };
}

function draw(box) {
  const { data, layout } = figures[Number(box.id.slice("figure-".length))];
  const isParallel = data.some((trace) => trace.type === "parcoords");
  if (isParallel && !hasWebGL) {
    box.textContent = "This browser does not offer WebGL, which parallel coordinates are drawn with.";
    box.style = "";
    return;
  }
  const margin = { l: 60, r: 16, t: 34, b: 44, ...(isParallel ? layout.margin : {}) };
  const settings = {
    responsive: true, displaylogo: false, displayModeBar: box.closest(".small") || innerWidth < 600 ? false : "hover",
    // The study stays on this machine: no button sends it to anybody's cloud.
    showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "sendDataToCloud", "editInChartStudio", "select2d", "lasso2d", "zoomIn2d",
                             "zoomOut2d", "autoScale2d"],
  };
  return Plotly.react(box, data, { ...themed(layout), margin, autosize: true }, settings);
}

const boxes = [...document.querySelectorAll(".figure")];

async function drawAll() {
  for (const box of boxes) {
    await draw(box);
    await new Promise((next) => setTimeout(next));  // the reader may scroll meanwhile
  }
  document.body.dataset.drawn = boxes.length;
}

drawAll();
dark.addEventListener("change", drawAll);

function sort(head) {
  const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
  const up = head.getAttribute("aria-sort") !== "ascending";
  const key = (row) => { const words = row.cells[column].textContent, number = parseFloat(words);
                         return [words === "" || words === "–" ? 2 : isNaN(number) ? 1 : 0, number || 0, words]; };
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => a[0] - b[0] || (up ? 1 : -1) * (a[1] - b[1] || a[2].localeCompare(b[2])));
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows.map(([, row]) => row));
}

document.querySelectorAll(".trials thead th").forEach((head) => head.addEventListener("click", () => sort(head)));
