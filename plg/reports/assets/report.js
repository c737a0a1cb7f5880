"use strict";
(() => {
  const root = document.documentElement;
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const touch = matchMedia("(pointer: coarse)").matches;
  const charts = [];
  let following = false;

  const colour = (role) => getComputedStyle(root).getPropertyValue("--" + role).trim();
  const faint = (role, share) => {
    const hex = colour(role);
    const part = (i) => parseInt(hex.slice(i, i + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},${share})`;
  };

  function paint(spec, width) {
    for (const trace of spec.data) {
      const { role, fill, area } = trace.meta;
      trace.marker = { ...trace.marker, color: colour(role) };
      if (trace.marker.line) trace.marker.line = { ...trace.marker.line, color: colour("paper") };
      if (trace.line) trace.line = { ...trace.line, color: colour(role) };
      if (fill) trace.fillcolor = faint(area, fill);
    }
    const layout = spec.layout;
    layout.font = { ...layout.font, color: colour("soft") };
    layout.hoverlabel = { bgcolor: colour("paper"), bordercolor: colour("rule"), font: { color: colour("ink") } };
    for (const name of ["xaxis", "yaxis"]) {
      layout[name] = { ...layout[name], gridcolor: colour("grid"), linecolor: colour("rule"), tickcolor: colour("rule") };
    }
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("accent") };
    layout.xaxis.nticks = width < 560 ? 5 : 9;
    layout.shapes = (layout.shapes || []).map((shape) =>
      shape.name === "phase"
        ? { ...shape, fillcolor: colour("band") }
        : { ...shape, line: { ...shape.line, color: colour("limit") } });
    const taken = { until: -Infinity };
    layout.annotations = (layout.annotations || []).map((note) => label(note, layout, width, taken));
    layout.autosize = false;
    layout.width = width;
  }

  /* Letters of East Asia take the room of two. */
  const wide = (letter) => (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\uff60\u{1f300}-\u{1faff}]/u.test(letter) ? 2 : 1);

  function cut(name, room) {
    const plain = name.replace(/&amp;/g, "&").replace(/&lt;/g, "<").replace(/&gt;/g, ">");
    let left = room, end = 0;
    for (const letter of plain) {
      left -= wide(letter);
      if (left < 0) break;
      end += letter.length;
    }
    if (end === plain.length) return name;
    if (room < 6) return "";
    const kept = [...plain.slice(0, end)].slice(0, -1).join("");
    return kept.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;") + "…";
  }

  /* A phase's name is cut where its phase ends on the screen, and not shown over the name of another. */
  function label(note, layout, width, taken) {
    if (!note.name.startsWith("phase:")) {
      return { ...note, bgcolor: colour("paper"), font: { ...note.font, color: colour("limit") } };
    }
    const time = (value) => (typeof value === "string" ? Date.parse(value.replace(" ", "T") + "Z") : value);
    const [from, to] = layout.xaxis.range.map(time);
    const start = Math.max(from, note.x);
    const end = Math.min(to, Number(note.name.slice(6)));
    const scale = (width - 70) / (to - from);
    const text = cut(note.hovertext, Math.floor(((end - start) * scale - 7) / 6.2));
    const visible = Boolean(text) && note.x >= from && note.x >= taken.until;
    const needed = 7 + 6.2 * [...text].reduce((sum, letter) => sum + wide(letter), 0);
    if (visible) taken.until = note.x + needed / scale;
    return { ...note, visible, text: text || note.hovertext, font: { ...note.font, color: colour("soft") } };
  }

  function draw(chart, width) {
    paint(chart.spec, width);
    return Plotly.react(chart.box, chart.spec.data, chart.spec.layout, {
      displaylogo: false,
      displayModeBar: touch ? false : "hover",
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
      toImageButtonOptions: { filename: document.title + " " + chart.box.dataset.key, scale: 2 },
    });
  }

  const widthOf = (chart) => Math.max(240, Math.floor(chart.box.closest("figure").clientWidth));
  const drawAll = (width) => charts.forEach((chart) => draw(chart, width || widthOf(chart)));

  /* All charts share their time axis: zooming one zooms the others. */
  function follow(source, change) {
    const moved = change["xaxis.range[0]"] !== undefined || change["xaxis.range"] || change["xaxis.autorange"];
    if (following || !moved) return;
    following = true;
    const whole = change["xaxis.autorange"];
    for (const chart of charts) {
      chart.spec.layout.xaxis.range = whole ? [...chart.whole] : [...source.box.layout.xaxis.range];
      if (whole) chart.spec.layout.xaxis.autorange = false;
      if (chart === source && !whole) chart.spec.layout.yaxis.range = [...source.box.layout.yaxis.range];
      draw(chart, widthOf(chart));
    }
    following = false;
  }

  /* A name in the legend shows and hides its curve. */
  function switches(chart, name, number) {
    name.tabIndex = 0;
    name.setAttribute("role", "switch");
    name.setAttribute("aria-checked", "true");
    const turn = () => {
      const trace = chart.spec.data[number];
      trace.visible = trace.visible === false;
      name.setAttribute("aria-checked", String(trace.visible));
      draw(chart, widthOf(chart));
    };
    name.addEventListener("click", turn);
    name.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      turn();
    });
  }

  function start(figure) {
    const box = figure.querySelector(".plot");
    const spec = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
    spec.layout.dragmode = touch ? false : "zoom";
    const chart = { box, spec, whole: [...spec.layout.xaxis.range] };
    box.hidden = false;
    return draw(chart, widthOf(chart)).then(() => {
      charts.push(chart);
      figure.querySelector(".still").hidden = true;
      figure.querySelectorAll(".legend li").forEach((name, number) => switches(chart, name, number));
      box.on("plotly_relayout", (change) => follow(chart, change));
      figure.dataset.drawn = String(box.querySelectorAll(".trace path, .point path, path.js-line").length);
    });
  }

  let pending = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => drawAll());
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  addEventListener("beforeprint", () => {
    root.dataset.theme = "light";
    document.querySelectorAll("details").forEach((part) => { part.open = true; });
    charts.forEach((chart) => draw(chart, chart.box.closest(".pair") ? 330 : 680));
  });
  addEventListener("afterprint", () => {
    delete root.dataset.theme;
    drawAll();
  });

  Promise.all(figures.map(start)).then(() => { root.dataset.ready = "yes"; });
})();
