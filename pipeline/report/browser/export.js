// Corrections as an annotation file: ActivityNet's JSON, which training reads as it is.

const exporting = { videos: "touched", undecided: false, subset: "" };

// The file's content: {database: {video: {subset, duration, annotations: [{segment, label}]}}}.
//
// A video's annotations are its true segments and the accepted, changed and added ones, without the rejected; where
// `undecided` is asked for also the predictions of the first run shown that reach the score and were not decided on.
function exportedFile({ videos, undecided, subset }) {
  const database = {};
  const threshold = Math.fround(state.threshold),
    first = state.runs.indexOf(true);
  report.videos.forEach((video, v) => {
    const done = corrections.done.has(video.id);
    if (videos === "done" ? !done : videos === "touched" ? !done && !isCorrected(v) : false) return;
    const taken = everySegment(v)
      .filter((segment) => {
        if (segment.state === "rejected") return false;
        if (segment.run < 0 || segment.state === "accepted" || segment.changed) return true;
        return undecided && segment.run === first && segment.score >= threshold;
      })
      .filter((segment) => segment.end > segment.start)
      .sort((a, b) => a.start - b.start || a.end - b.end);
    const last = taken.reduce((most, segment) => Math.max(most, segment.end), 0);
    database[video.id] = {
      subset,
      duration: video.lasting ? video.duration : Math.max(video.duration, last) || 1,
      annotations: distinct(
        taken.map((segment) => ({
          segment: [exact(Math.max(0, segment.start)), exact(segment.end)],
          label: segment.name,
        })),
      ),
    };
  });
  return {
    version: "raytad corrections 1",
    database,
    raytad: { predictions: report.runs.map((run) => run.url), digest: report.digest },
  };
}

// Two runs may say the same; it is one action.
function distinct(annotations) {
  const seen = new Set();
  return annotations.filter((one) => {
    const text = JSON.stringify(one);
    return !seen.has(text) && seen.add(text);
  });
}

function exact(seconds) {
  return Math.round(seconds * 1e6) / 1e6;
}

function makeExportDialog() {
  const preview = element("p", { "aria-live": "polite", id: "export-count" });
  const usual = report.subset || "train";
  exporting.subset = usual;
  const subset = element("input", { type: "text", id: "export-subset", value: usual, autocomplete: "off" });
  const show = () => {
    const { database } = exportedFile(exporting);
    const segments = Object.values(database).reduce((sum, video) => sum + video.annotations.length, 0);
    preview.textContent = `${plural(Object.keys(database).length, "video")}, ${plural(segments, "segment")}`;
  };
  subset.addEventListener("input", () => {
    exporting.subset = subset.value.trim() || usual;
    show();
  });
  const undecided = element("input", {
    type: "checkbox",
    id: "export-undecided",
    onchange: (event) => {
      exporting.undecided = event.target.checked;
      show();
    },
  });
  const dialog = element(
    "dialog",
    { id: "export-dialog", "aria-labelledby": "export-title" },
    element("h2", { id: "export-title", text: "Export annotations" }),
    element("p", {
      class: "quiet",
      text: "ActivityNet JSON: true segments and what you accepted, changed or added, without what you rejected. train takes it as dataset.annotations.",
    }),
    element(
      "p",
      {},
      element("label", { for: "export-videos", text: "Videos " }),
      select(
        [
          ["touched", "corrected or done"],
          ["done", "done"],
          ["all", "all"],
        ],
        exporting.videos,
        (value) => {
          exporting.videos = value;
          show();
        },
        { id: "export-videos" },
      ),
    ),
    element(
      "p",
      {},
      undecided,
      element("label", {
        for: "export-undecided",
        text: "Take undecided segments from the slider's score on as right",
      }),
    ),
    element("p", {}, element("label", { for: "export-subset", text: "Subset " }), subset),
    report.subset
      ? element("p", {
          class: "quiet",
          text: `${usual} is what the truth says. Videos to train on belong to the subset train; test those on others.`,
        })
      : "",
    preview,
    element(
      "p",
      { class: "acts" },
      button(
        "Download",
        () => {
          download();
          dialog.close();
        },
        { id: "download", class: "primary" },
      ),
      button("Cancel", () => dialog.close()),
    ),
  );
  return {
    dialog,
    open: () => {
      show();
      dialog.showModal();
    },
  };
}

function download() {
  const text = JSON.stringify(exportedFile(exporting), null, 1);
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = element("a", { href: url, download: "corrected.json" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
