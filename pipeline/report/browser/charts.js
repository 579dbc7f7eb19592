// Charts in SVG, with a name for those who do not see them; lines differ by dash and shape too, not by colour alone.

const CHART = { width: 460, height: 270, left: 44, right: 14, top: 12, bottom: 38 };
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 2", "10 4"];

function chart(title, about, draw, extra = []) {
  const { width, height } = CHART;
  const picture = drawn("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `${title}. ${about}`,
  });
  draw(picture);
  return element("figure", {}, element("figcaption", { text: title }), picture, extra);
}

function scale(domain, from, to) {
  const [low, high] = domain;
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

// Axes of a chart; gives the scales.
function axes(picture, x, y) {
  const { width, height, left, right, top, bottom } = CHART;
  const sx = scale(x.domain, left, width - right),
    sy = scale(y.domain, height - bottom, top);
  for (const tick of y.ticks) {
    picture.append(
      drawn("line", { class: "grid", x1: left, x2: width - right, y1: sy(tick), y2: sy(tick) }),
      drawn("text", {
        class: "tick",
        x: left - 6,
        y: sy(tick) + 4,
        "text-anchor": "end",
        text: y.format(tick),
      }),
    );
  }
  for (const tick of x.ticks) {
    picture.append(
      drawn("text", {
        class: "tick",
        x: sx(tick),
        y: height - bottom + 16,
        "text-anchor": "middle",
        text: x.format(tick),
      }),
    );
  }
  picture.append(
    drawn("text", {
      class: "axis",
      x: (left + width - right) / 2,
      y: height - 4,
      "text-anchor": "middle",
      text: x.label,
    }),
  );
  return { sx, sy };
}

function lineChart(title, about, series, x, y) {
  return chart(
    title,
    about,
    (picture) => {
      const { sx, sy } = axes(picture, x, y);
      series.forEach(({ points, run }) => {
        const path = points
          .map(([px, py], i) => `${i ? "L" : "M"}${sx(px).toFixed(1)} ${sy(py).toFixed(1)}`)
          .join("");
        picture.append(
          drawn("path", {
            class: `line run-${run % NUM_COLOURS}`,
            d: path,
            "stroke-dasharray": DASHES[run % DASHES.length],
          }),
        );
        if (points.length <= 12)
          for (const [px, py] of points)
            picture.append(
              drawn("circle", { class: `dot run-${run % NUM_COLOURS}`, cx: sx(px), cy: sy(py), r: 3 }),
            );
      });
    },
    series.length > 1 ? [legend(series)] : [],
  );
}

function legend(series) {
  return element(
    "ul",
    { class: "legend" },
    series.map(({ name, run }) =>
      element(
        "li",
        {},
        drawn(
          "svg",
          { viewBox: "0 0 28 8", class: "key", "aria-hidden": "true" },
          drawn("line", {
            class: `line run-${run % NUM_COLOURS}`,
            x1: 0,
            x2: 28,
            y1: 4,
            y2: 4,
            "stroke-dasharray": DASHES[run % DASHES.length],
          }),
        ),
        named(name),
      ),
    ),
  );
}

const WHOLE = {
  domain: [0, 1],
  ticks: [0, 0.2, 0.4, 0.6, 0.8, 1],
  format: (value) => String(Math.round(100 * value)),
};

function niceDomain(most) {
  const steps = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1];
  const high = steps.find((step) => step >= most) || 1;
  const count = high <= 0.1 ? 5 : high === 0.3 || high === 0.6 ? 3 : 4;
  return {
    domain: [0, high],
    ticks: Array.from({ length: count + 1 }, (_, i) => (high * i) / count),
    format: (value) => percent(value).replace(/\.0$/, ""),
  };
}

function mapChart(runs) {
  const { thresholds } = report;
  const most = Math.max(...runs.flatMap((run) => run.figures.map));
  const series = runs.map((run, r) => ({
    name: run.name,
    run: r,
    points: run.figures.map.map((value, i) => [thresholds[i], value]),
  }));
  const about = runs
    .map(
      (run) =>
        `${run.name}: ${run.figures.map.map((value, i) => `${percent(value)} at ${thresholds[i]}`).join(", ")}`,
    )
    .join("; ");
  const few = thresholds.length > 7 ? thresholds.filter((_, i) => i % 2 === 0) : thresholds;
  const pad = 0.02;
  return lineChart(
    "mAP (%) by tIoU threshold",
    about,
    series,
    {
      label: "tIoU threshold",
      domain: [thresholds[0] - pad, thresholds[thresholds.length - 1] + pad],
      ticks: few,
      format: String,
    },
    niceDomain(most),
  );
}

function curveChart(runs, label) {
  const series = runs.map((run, r) => {
    const curve = label === "" ? run.figures.curve : run.figures.curves[label];
    return { name: run.name, run: r, points: (curve || []).map((value, i) => [report.recalls[i], value]) };
  });
  const what = label === "" ? "mean over classes" : report.labels[Number(label)];
  return lineChart(
    `Precision and recall (%), ${shortened(what, 40)}`,
    `At tIoU ${report.tiou}, interpolated.`,
    series,
    { ...WHOLE, label: "recall" },
    WHOLE,
  );
}

function lengthChart(runs) {
  const { names, counts } = runs[0].figures.lengths;
  const all = Math.max(1, ...counts);
  const about = names
    .map(
      (name, i) =>
        `${name}: ${counts[i]} true, recall ${runs.map((run) => percent(run.figures.lengths.recall[i])).join(" and ")} %`,
    )
    .join("; ");
  return chart(
    "Action lengths and recall (%) by length",
    `At tIoU ${report.tiou}. ${about}`,
    (picture) => {
      const x = {
        label: "length of the true action; bars: how many there are",
        domain: [0, names.length],
        ticks: names.map((_, i) => i + 0.5),
        format: (value) => names[Math.floor(value)],
      };
      const { sx, sy } = axes(picture, x, WHOLE);
      names.forEach((name, i) => {
        const top = sy((0.9 * counts[i]) / all),
          left = sx(i + 0.2),
          width = sx(i + 0.8) - left;
        picture.append(
          drawn("rect", { class: "bar", x: left, y: top, width, height: sy(0) - top }),
          drawn("text", {
            class: "tick",
            x: left + width / 2,
            y: Math.max(top - 5, 12),
            "text-anchor": "middle",
            text: number(counts[i]),
          }),
        );
      });
      runs.forEach((run, r) => {
        const points = run.figures.lengths.recall
          .map((value, i) => [i + 0.5, value])
          .filter(([, value]) => value !== null);
        picture.append(
          drawn("path", {
            class: `line run-${r % NUM_COLOURS}`,
            "stroke-dasharray": DASHES[r % DASHES.length],
            d: points.map(([px, py], i) => `${i ? "L" : "M"}${sx(px)} ${sy(py)}`).join(""),
          }),
        );
        for (const [px, py] of points)
          picture.append(
            drawn("circle", { class: `dot run-${r % NUM_COLOURS}`, cx: sx(px), cy: sy(py), r: 3.5 }),
          );
      });
    },
    runs.length > 1 ? [legend(runs.map((run, r) => ({ name: run.name, run: r })))] : [],
  );
}

function roundTicks(high) {
  const power = 10 ** Math.floor(Math.log10(high / 4));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= high / 5);
  const ticks = Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, i) => i * step);
  return { ticks, format: (value) => String(Number(value.toPrecision(3))) };
}

const redrawPoints = { action: null };

// A point for each prediction of a run that the page holds, on a canvas for there are many, and the mean of bins.
function confidenceChart(r) {
  const run = report.runs[r],
    { width, height, left, right, top, bottom } = CHART;
  const high = Math.max(report.highest, ...run.figures.reliability.map(([value]) => value));
  const x = { label: "confidence", domain: [0, high], ...roundTicks(high) };
  const points = element("canvas", { width: 2 * width, height: 2 * height, "aria-hidden": "true" });
  const sx = scale(x.domain, left, width - right),
    sy = scale([0, 1], height - bottom, top);
  const count = run.score.length,
    every = Math.max(1, Math.ceil(count / 6000));
  const drawPoints = () => {
    const pen = points.getContext("2d");
    pen.clearRect(0, 0, 2 * width, 2 * height);
    pen.fillStyle = paint.solid[r % NUM_COLOURS];
    pen.globalAlpha = Math.min(0.6, Math.max(0.08, (300 * every) / count));
    for (let i = 0; i < count; i += every) {
      if (run.kind[i] === UNSCORED) continue;
      pen.beginPath();
      pen.arc(2 * sx(run.score[i]), 2 * sy(run.tiou[i] / 255), 4, 0, 7);
      pen.fill();
    }
  };
  drawPoints();
  if (redrawPoints.action === null) when("theme", () => redrawPoints.action());
  redrawPoints.action = drawPoints;
  points.addEventListener("click", (event) => {
    const box = points.getBoundingClientRect(),
      zoom = width / box.width;
    const at = [(event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom];
    let best = -1,
      least = 100;
    for (let i = 0; i < count; i += every) {
      const distance = (sx(run.score[i]) - at[0]) ** 2 + (sy(run.tiou[i] / 255) - at[1]) ** 2;
      if (distance < least && run.kind[i] !== UNSCORED) [least, best] = [distance, i];
    }
    if (best >= 0) goTo(videoOfRow(run, best), `p${r}.${best - run.first[videoOfRow(run, best)]}`);
  });
  const about = run.figures.reliability
    .map(([value, tiou]) => `${value.toPrecision(2)}: ${percent(tiou)} %`)
    .join(", ");
  const figure = chart(
    "Confidence and best tIoU (%)",
    `Mean tIoU by confidence: ${about}`,
    (picture) => {
      axes(picture, x, WHOLE);
      const path = run.figures.reliability
        .map(([value, tiou], i) => `${i ? "L" : "M"}${sx(value).toFixed(1)} ${sy(tiou).toFixed(1)}`)
        .join("");
      picture.append(drawn("path", { class: "line mean", d: path }));
      for (const [value, tiou] of run.figures.reliability)
        picture.append(drawn("circle", { class: "dot mean", cx: sx(value), cy: sy(tiou), r: 3 }));
    },
    [
      element("p", {
        class: "quiet",
        text: `Line: the mean${every > 1 ? `; points: every ${every}th prediction` : ""}. A click on a point shows its segment.`,
      }),
    ],
  );
  const holder = element("div", { class: "layers" });
  const picture = figure.querySelector("svg");
  picture.replaceWith(holder);
  holder.append(picture, points);
  return figure;
}

function videoOfRow(run, row) {
  let low = 0,
    high = report.videos.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (run.first[middle + 1] <= row) low = middle + 1;
    else high = middle;
  }
  return low;
}
