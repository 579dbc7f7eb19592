// The filters: text, score, videos, order, runs, classes.

const MOST_CLASSES = 1000; // in the list; the field above it finds the others

function makeFilters() {
  const search = element("input", {
    type: "search",
    id: "search",
    placeholder: "Video or class",
    dir: "auto",
    autocomplete: "off",
    oninput: later(() => choose({ text: search.value })),
  });
  const panel = element(
    "div",
    { class: "filters", id: "filters", role: "region", "aria-label": "Filters", tabindex: "0" },
    element("div", { class: "filter" }, element("label", { for: "search", text: "Search" }), search),
    scoreFilter(),
    element(
      "div",
      { class: "filter" },
      element("label", { for: "keep", text: "Videos" }),
      select(
        [
          ["all", "all"],
          ...(report.hasTruth
            ? [
                ["false alarms", "with false alarms"],
                ["misses", "with missed actions"],
              ]
            : []),
          ["corrected", "corrected or done"],
          ["open", "not done"],
        ],
        state.keep,
        (value) => choose({ keep: value }),
        { id: "keep" },
      ),
    ),
    element(
      "div",
      { class: "filter" },
      element("label", { for: "sort", text: "Order" }),
      select(
        [
          ["id", "by name"],
          ["segments", "most found first"],
          ["unsure", "least sure first"],
          ...(report.hasTruth
            ? [
                ["false alarms", "most false alarms first"],
                ["misses", "most misses first"],
              ]
            : []),
          ["length", "longest first"],
        ],
        state.sort,
        (value) => choose({ sort: value }),
        { id: "sort" },
      ),
    ),
    report.hasTruth
      ? element(
          "div",
          { class: "filter check" },
          element("input", {
            type: "checkbox",
            id: "marked",
            checked: state.marked,
            onchange: (event) => choose({ marked: event.target.checked }, "selection"),
          }),
          element("label", { for: "marked", text: "Hatch errors and misses" }),
        )
      : "",
    report.runs.length > 1
      ? element(
          "fieldset",
          { class: "filter" },
          element("legend", { text: "Runs, from above" }),
          report.runs.map((run, r) =>
            element(
              "div",
              { class: "check" },
              element("input", {
                type: "checkbox",
                id: `run-${r}`,
                checked: true,
                onchange: (event) => {
                  const runs = [...state.runs];
                  runs[r] = event.target.checked;
                  choose({ runs });
                },
              }),
              element("label", { for: `run-${r}` }, named(run.name)),
            ),
          ),
        )
      : "",
    classFilter(),
  );
  when("filters", () => {
    if (search.value !== state.text && document.activeElement !== search) search.value = state.text;
  });
  when("filters", () => {
    document.getElementById("keep").value = state.keep;
  });
  return panel;
}

function scoreFilter() {
  let low = Infinity,
    high = -Infinity;
  for (const run of report.runs) {
    for (const value of run.score) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!(low < high)) [low, high] = [Math.min(low, 0) === Infinity ? 0 : Math.min(low, 0), Math.max(high, 1)];
  const steps = 1000;
  // The slider goes by whole steps, and a step below the lowest score shows everything.
  const valueOf = (place) => low + ((high - low) * place) / steps;
  const placeOf = (value) => Math.round(((value - low) / (high - low)) * steps);
  const slider = element("input", {
    type: "range",
    id: "score",
    min: "0",
    max: String(steps),
    value: String(placeOf(state.threshold)),
  });
  const output = element("output", { for: "score", id: "score-value" });
  const why = element("span", { class: "quiet", id: "score-why" });
  const show = () => {
    output.textContent = score(state.threshold);
    slider.setAttribute("aria-valuetext", score(state.threshold));
    why.textContent = state.threshold === report.threshold.value ? report.threshold.origin : "";
    if (document.activeElement !== slider) slider.value = String(placeOf(state.threshold));
  };
  slider.addEventListener(
    "input",
    later(() => choose({ threshold: valueOf(Number(slider.value)) })),
  );
  when("filters", show);
  show();
  return element(
    "div",
    { class: "filter" },
    element("label", { for: "score" }, "Score from "),
    output,
    slider,
    why,
  );
}

function classFilter() {
  const find = element("input", {
    type: "search",
    id: "find-class",
    placeholder: "Find a class",
    "aria-label": "Find a class",
    dir: "auto",
    autocomplete: "off",
  });
  const box = element("div", { class: "class-list", tabindex: "0", role: "group", "aria-label": "Classes" });
  const show = () => {
    const text = find.value.trim().toLowerCase();
    const some = report.labels
      .map((name, label) => ({ name, label }))
      .filter(({ name }) => name.toLowerCase().includes(text));
    box.replaceChildren(
      ...some.slice(0, MOST_CLASSES).map(({ name, label }) =>
        element(
          "div",
          { class: "check" },
          element("input", {
            type: "checkbox",
            id: `class-${label}`,
            checked: !state.classes || state.classes.has(label),
            onchange: (event) => toggle(label, event.target.checked),
          }),
          element("span", { class: `chip class-${label % NUM_COLOURS}`, "aria-hidden": "true" }),
          element("label", { for: `class-${label}` }, named(name)),
        ),
      ),
      some.length > MOST_CLASSES
        ? element("p", { class: "quiet", text: `and ${number(some.length - MOST_CLASSES)} more` })
        : "",
    );
  };
  const toggle = (label, on) => {
    const classes = state.classes ? new Set(state.classes) : new Set(report.labels.keys());
    if (on) classes.add(label);
    else classes.delete(label);
    choose({ classes: classes.size === report.labels.length ? null : classes });
  };
  find.addEventListener("input", later(show));
  let before;
  when("filters edits", () => {
    if (before === state.classes && box.childElementCount === Math.min(report.labels.length, MOST_CLASSES))
      return;
    before = state.classes;
    if (!box.contains(document.activeElement) || !document.activeElement.matches("input")) show();
  });
  show();
  return element(
    "fieldset",
    { class: "filter classes-filter" },
    element("legend", { text: "Classes" }),
    element(
      "div",
      { class: "acts" },
      button(
        "All",
        () => {
          choose({ classes: null });
          show();
        },
        { id: "all-classes" },
      ),
      button(
        "None",
        () => {
          choose({ classes: new Set() });
          show();
        },
        { id: "no-classes" },
      ),
    ),
    find,
    box,
  );
}
