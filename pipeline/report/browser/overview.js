// The overview: what the truth says of each run as a whole, and the way to single errors.

const LISTED = 50;
const overview = { run: 0, label: "", kind: "all" };

function makeOverview() {
  const page = element("div", {
    class: "overview",
    id: "overview",
    tabindex: "0",
    role: "region",
    "aria-label": "Overview",
  });
  if (!report.hasTruth) return page;
  const runs = report.runs;
  const curves = element("div", { class: "curves" }),
    errors = element("div", { class: "errors" });
  const drawCurves = () => curves.replaceChildren(curveChart(runs, overview.label), choice);
  const drawErrors = () => errors.replaceChildren(...errorParts(drawErrors));
  const withCurve = Object.keys(runs[0].figures.curves);
  const choice = element(
    "p",
    { class: "choice" },
    element("label", { for: "curve-of", text: "Class " }),
    select(
      [["", "mean over classes"], ...withCurve.map((label) => [label, report.labels[Number(label)]])],
      "",
      (value) => {
        overview.label = value;
        drawCurves();
        document.getElementById("curve-of").focus();
      },
      { id: "curve-of" },
    ),
  );
  drawCurves();
  drawErrors();
  page.append(
    element("section", {}, element("h2", { text: "Scores" }), scoresTable(runs)),
    element("section", { class: "figures" }, mapChart(runs), curves, lengthChart(runs)),
    element(
      "section",
      { id: "errors" },
      element("h2", { text: `Confidence and errors at tIoU ${report.tiou}` }),
      errors,
    ),
    element("section", {}, element("h2", { text: "Classes" }), classTable(runs)),
  );
  return page;
}

function scoresTable(runs) {
  const heads = [
    "Run",
    "mAP",
    ...report.thresholds.map((t) => `@${t}`),
    "Best F1",
    "Precision",
    "Recall",
    "at score",
    "Predictions",
    "True",
    "Missed",
  ];
  return element(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": "Scores of runs" },
    element(
      "table",
      { class: "scores" },
      element("caption", { text: "Detection mAP (%) by tIoU threshold; best F1 at tIoU 0.5" }),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          heads.map((text, i) => element("th", { scope: "col", text, class: i ? "number" : null })),
        ),
      ),
      element(
        "tbody",
        {},
        runs.map((run) => {
          const { figures } = run,
            point = figures.best_f1;
          const values = [
            percent(figures.average),
            ...figures.map.map(percent),
            percent(point.f1),
            percent(point.precision),
            percent(point.recall),
            score(point.threshold),
            number(figures.num_predictions),
            number(figures.num_truths),
            number(figures.missed),
          ];
          return element(
            "tr",
            {},
            element("th", { scope: "row" }, named(run.name, { title: run.url })),
            values.map((text) => element("td", { class: "number", text })),
          );
        }),
      ),
    ),
  );
}

function classTable(runs) {
  const column = runs[0].figures.ap_at;
  const rows = runs[0].figures.classes.map((label, place) => ({
    label,
    truths: runs[0].figures.truths[place],
    ap: runs.map((run) => {
      const at = run.figures.classes.indexOf(label);
      return at < 0 ? null : run.figures.ap[at];
    }),
  }));
  const mean = (ap) => (ap ? ap.reduce((sum, value) => sum + value, 0) / ap.length : 0);
  rows.sort((a, b) => mean(b.ap[0]) - mean(a.ap[0]));
  const heads = [
    "Class",
    "True",
    ...runs.flatMap((run) =>
      runs.length > 1
        ? [`${run.name}, mean AP`, `@${report.thresholds[column]}`]
        : ["Mean AP (%)", `AP @${report.thresholds[column]}`],
    ),
  ];
  return element(
    "div",
    { class: "tall", tabindex: "0", role: "region", "aria-label": "Average precision by class" },
    element(
      "table",
      { class: "classes" },
      element("caption", { text: "Average precision (%) by class; a class's name shows its lanes" }),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          heads.map((text, i) =>
            element("th", { scope: "col", class: i ? "number" : null }, element("bdi", { text })),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map(({ label, truths, ap }) =>
          element(
            "tr",
            {},
            element(
              "th",
              { scope: "row" },
              button(
                "",
                () => {
                  choose({ classes: new Set([label]), tab: "videos" });
                  tell("tab");
                },
                { class: "plain" },
              ).appendChild(named(report.labels[label])).parentNode,
            ),
            element("td", { class: "number", text: number(truths) }),
            ap.flatMap((values, r) => [
              element(
                "td",
                { class: "number share" },
                element("span", {
                  class: `gauge run-${r % NUM_COLOURS}`,
                  style: {
                    width: `${Math.round(80 * mean(values))}px`,
                    "margin-inline-end": `${88 - Math.round(80 * mean(values))}px`,
                  },
                }),
                element("span", { text: percent(values ? mean(values) : null) }),
              ),
              element("td", { class: "number", text: percent(values ? values[column] : null) }),
            ]),
          ),
        ),
      ),
    ),
  );
}

function errorParts(again) {
  const { runs } = report,
    r = overview.run,
    run = runs[r];
  const kinds = report.kinds
    .slice(1)
    .map((kind, k) => [String(k + 1), `${kind} (${number(run.figures.kinds[k + 1])})`]);
  return [
    runs.length > 1
      ? element(
          "p",
          { class: "choice" },
          element("label", { for: "errors-of", text: "Run " }),
          select(
            runs.map((one, i) => [String(i), one.name]),
            String(r),
            (value) => {
              overview.run = Number(value);
              again();
              document.getElementById("errors-of").focus();
            },
            { id: "errors-of" },
          ),
        )
      : "",
    element("div", { class: "figures" }, confidenceChart(r), profileChart(run), gainChart(run)),
    element(
      "div",
      { class: "lists" },
      element(
        "div",
        {},
        element("h3", { text: "Surest false alarms" }),
        element(
          "p",
          { class: "choice" },
          element("label", { for: "false-kind", text: "Kind " }),
          select(
            [["all", "all kinds"], ...kinds],
            overview.kind,
            (value) => {
              overview.kind = value;
              again();
              document.getElementById("false-kind").focus();
            },
            { id: "false-kind" },
          ),
        ),
        segmentsTable("Surest false alarms", falseAlarms(r, overview.kind), "score"),
      ),
      element(
        "div",
        {},
        element("h3", { text: "Longest misses" }),
        element("p", {
          class: "choice quiet",
          text: `${number(run.figures.missed)} of ${plural(run.figures.num_truths, "true action")} missed`,
        }),
        segmentsTable("Longest misses", misses(r), "length"),
      ),
    ),
  ];
}

// The surest predictions that are errors, of one kind or all.
function falseAlarms(r, kind) {
  const run = report.runs[r],
    wanted = kind === "all" ? null : Number(kind);
  const best = [];
  for (let i = 0; i < run.score.length; i++) {
    const its = run.kind[i];
    if (its === UNSCORED || its === TRUE_POSITIVE || (wanted !== null && its !== wanted)) continue;
    insert(best, run.score[i], i);
  }
  return best.map(([, i]) => {
    const v = videoOfRow(run, i);
    return { v, key: `p${r}.${i - run.first[v]}` };
  });
}

function misses(r) {
  const { truth } = report,
    { found } = report.runs[r];
  const longest = [];
  for (let i = 0; i < found.length; i++)
    if (Number.isNaN(found[i])) insert(longest, truth.end[i] - truth.start[i], i);
  return longest.map(([, i]) => {
    const v = videoOfRow(truth, i);
    return { v, key: `t${i - truth.first[v]}` };
  });
}

// Keep the highest few, highest first.
function insert(best, value, item) {
  if (best.length === LISTED && value <= best[LISTED - 1][0]) return;
  let place = best.length;
  while (place && best[place - 1][0] < value) place -= 1;
  best.splice(place, 0, [value, item]);
  if (best.length > LISTED) best.pop();
}

function segmentsTable(name, found, last) {
  if (!found.length) return element("p", { class: "quiet", text: "None." });
  return element(
    "div",
    { class: "tall", tabindex: "0", role: "region", "aria-label": name },
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ["Time", "Class", "Video", last === "score" ? "Kind" : "", last === "score" ? "Score" : "Length"]
            .filter(Boolean)
            .map((text) =>
              element("th", {
                scope: "col",
                text,
                class: ["Score", "Length"].includes(text) ? "number" : null,
              }),
            ),
        ),
      ),
      element(
        "tbody",
        {},
        found.map(({ v, key }) => {
          const segment = segmentAt(v, key);
          return element(
            "tr",
            {},
            element(
              "td",
              {},
              button(range(segment.start, segment.end), () => goTo(v, key), { class: "plain" }),
            ),
            element("td", {}, named(segment.name)),
            element("td", {}, named(report.videos[v].id)),
            last === "score" ? element("td", { text: report.kinds[segment.kind] }) : null,
            element("td", {
              class: "number",
              text: last === "score" ? score(segment.score) : `${(segment.end - segment.start).toFixed(1)} s`,
            }),
          );
        }),
      ),
    ),
  );
}
