// Charts of what the errors are, by DETAD's kinds.

function profileChart(run) {
  const { profile } = run.figures,
    { kinds } = report;
  const last = profile.reduce((most, row, g) => (row.some(Boolean) ? g + 1 : most), 1);
  const about = profile
    .slice(0, last)
    .map(
      (row, g) =>
        `${g + 1}G: ${row
          .map((count, k) => (count ? `${count} ${kinds[k]}` : ""))
          .filter(Boolean)
          .join(", ")}`,
    )
    .join("; ");
  return chart(
    "What the best predictions are (%)",
    about,
    (picture) => {
      const x = {
        label: "best predictions of each class, by its G true actions",
        domain: [0, last],
        ticks: Array.from({ length: last }, (_, g) => g + 0.5),
        format: (value) => `${Math.floor(value) + 1}G`,
      };
      const { sx, sy } = axes(picture, x, WHOLE);
      profile.slice(0, last).forEach((row, g) => {
        const total = row.reduce((sum, count) => sum + count, 0);
        let below = 0;
        row.forEach((count, k) => {
          if (!count) return;
          const from = sy(below / total),
            to = sy((below + count) / total);
          below += count;
          picture.append(
            drawn(
              "rect",
              {
                class: `kind-${k}`,
                x: sx(g + 0.12),
                width: sx(g + 0.88) - sx(g + 0.12),
                y: to,
                height: from - to,
              },
              drawn("title", { text: `${kinds[k]}: ${count} of ${total}` }),
            ),
          );
          if (from - to > 12)
            picture.append(
              drawn("text", {
                class: "letter",
                x: sx(g + 0.5),
                y: (from + to) / 2 + 4,
                "text-anchor": "middle",
                text: letterOf(kinds[k]),
              }),
            );
        });
      });
    },
    [
      element(
        "ul",
        { class: "legend kinds" },
        kinds.map((kind, k) =>
          element(
            "li",
            {},
            drawn(
              "svg",
              { viewBox: "0 0 12 12", class: "swatch", "aria-hidden": "true" },
              drawn("rect", { class: `kind-${k}`, width: 12, height: 12 }),
            ),
            `${letterOf(kind)} ${kind}`,
          ),
        ),
      ),
    ],
  );
}

// What names a kind where its colour does not.
function letterOf(kind) {
  return kind[0].toUpperCase();
}

function gainChart(run) {
  const { gains } = run.figures,
    { kinds } = report;
  const most = Math.max(0.01, ...gains);
  const about = gains
    .map((gain, k) => (k ? `${kinds[k]}: ${percent(gain)}` : ""))
    .filter(Boolean)
    .join(", ");
  return chart(`mAP (points) gained at tIoU ${report.tiou} without that kind of error`, about, (picture) => {
    const { width } = CHART,
      left = 104,
      right = 48,
      height = 34;
    gains.slice(1).forEach((gain, i) => {
      const y = 24 + i * (height + 8),
        length = ((width - left - right) * Math.max(0, gain)) / most;
      picture.append(
        drawn("text", {
          class: "tick name",
          x: left - 8,
          y: y + height / 2 + 4,
          "text-anchor": "end",
          text: kinds[i + 1],
        }),
        drawn("rect", { class: `kind-${i + 1}`, x: left, y, width: Math.max(1, length), height }),
        drawn("text", { class: "tick", x: left + length + 6, y: y + height / 2 + 4, text: percent(gain) }),
      );
    });
  });
}
