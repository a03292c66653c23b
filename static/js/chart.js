// <canvas data-chart data-source="#id-of-a-json-script"> is drawn with Chart.js. The page has the same values as a table.
(() => {
  "use strict";

  const { Chart } = window.Charts;
  const COLOURS = 6;
  const MAX_POINTS_WITH_DOTS = 60;
  const MAX_LABEL_LENGTH = 28;
  // Lines and points differ in shape too, not in colour only.
  const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 4]];
  const POINTS = ["circle", "rect", "triangle", "rectRot", "crossRot", "star"];
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
  const ticks = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
  const drawn = new Map();

  /** The colour a custom property stands for in the present theme. */
  function colourReader(canvas) {
    const probe = document.createElement("span");
    probe.style.transitionProperty = "none"; // on its way from one colour to the next it would give the first
    canvas.parentElement.append(probe);
    return {
      read: (name) => {
        probe.style.color = `var(--${name})`;
        return getComputedStyle(probe).color;
      },
      close: () => probe.remove(),
    };
  }

  /** A number, or a gap for whatever is none. */
  const toNumber = (value) => (value === null || value === "" || Number.isNaN(Number(value)) ? null : Number(value));

  const shorten = (text) => (text.length > MAX_LABEL_LENGTH ? `${text.slice(0, MAX_LABEL_LENGTH - 1)}…` : text);

  function dataset({ name, values }, index, kind, isCrowded, read) {
    const colour = read(`chart-${(index % COLOURS) + 1}`);
    const shape = index % POINTS.length;
    return {
      label: name,
      data: values.map(toNumber),
      borderColor: colour,
      backgroundColor: colour,
      ...(kind === "line"
        ? { borderWidth: 2, borderDash: DASHES[shape], pointStyle: POINTS[shape], pointRadius: isCrowded ? 0 : 3 }
        : { borderWidth: 1, borderColor: read("surface"), maxBarThickness: 48 }),
    };
  }

  function axis(title, ink, line, more) {
    return {
      title: { display: Boolean(title), text: title, color: ink },
      border: { color: line },
      ...more,
      ticks: { color: ink, ...more.ticks },
    };
  }

  function configuration({ kind, labels, series, x_title: across, y_title: up }, read) {
    const [ink, strong, line, surface] = ["ink-soft", "ink-strong", "line", "surface"].map(read);
    const isCrowded = labels.length > MAX_POINTS_WITH_DOTS;
    return {
      type: kind === "line" ? "line" : "bar",
      data: {
        labels: labels.map(String),
        datasets: series.map((one, index) => dataset(one, index, kind, isCrowded, read)),
      },
      options: {
        responsive: true,
        maintainAspectRatio: false,
        animation: calm.matches ? false : { duration: 200 },
        interaction: { mode: "index", intersect: false },
        plugins: {
          legend: {
            display: series.length > 1,
            position: "bottom",
            labels: { color: ink, usePointStyle: kind === "line", boxHeight: 8 },
          },
          tooltip: {
            backgroundColor: surface, titleColor: strong, bodyColor: strong, borderColor: line, borderWidth: 1,
            callbacks: { label: ({ dataset: { label }, parsed }) => `${label}: ${numbers.format(parsed.y)}` },
          },
        },
        scales: {
          x: axis(across, ink, line, {
            grid: { display: false },
            ticks: { maxRotation: 40, autoSkipPadding: 12, callback(value) { return shorten(this.getLabelForValue(value)); } },
          }),
          y: axis(up, ink, line, {
            beginAtZero: true, grid: { color: line }, ticks: { callback: (value) => ticks.format(value) },
          }),
        },
      },
    };
  }

  function describe(canvas, { series, x_title: across }) {
    const names = series.map(({ name }) => name).join(", ");
    canvas.setAttribute("role", "img");
    if (!canvas.hasAttribute("aria-label")) {
      canvas.setAttribute("aria-label", `Chart of ${names}${across ? ` by ${across}` : ""}; the table has the same values`);
    }
  }

  function draw(canvas) {
    const source = document.querySelector(canvas.dataset.source);
    if (!source) return;
    const data = JSON.parse(source.textContent);
    const colours = colourReader(canvas);
    drawn.get(canvas)?.destroy();
    drawn.set(canvas, new Chart(canvas, configuration(data, colours.read)));
    colours.close();
    describe(canvas, data);
  }

  function drawNew() {
    drawn.forEach((chart, canvas) => {
      if (canvas.isConnected) return;
      chart.destroy();
      drawn.delete(canvas);
    });
    document.querySelectorAll("canvas[data-chart]").forEach((canvas) => drawn.has(canvas) || draw(canvas));
  }

  const drawAgain = () => drawn.forEach((_, canvas) => draw(canvas));

  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  new MutationObserver(drawAgain).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  ["htmx:afterSwap", "htmx:oobAfterSwap", "htmx:load"].forEach((name) => document.addEventListener(name, drawNew));
  drawNew();
})();
