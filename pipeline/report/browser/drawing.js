// Drawing lanes: true segments above, predicted ones below, a row for each run, as opaque as the score is high.

const BAR = 9,
  GAP = 3,
  PAD = 6,
  LEAST_LANE = 23,
  AXIS = 20,
  CURVE = 34;
const SHADES = 16,
  NUM_COLOURS = 7;

let paint = null; // the colours of the theme, read from the style sheet

function readPaint() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const surface = channels(of("surface")),
    ink = channels(of("ink"));
  paint = {
    ink: of("ink"),
    grey: of("grey"),
    line: of("line"),
    stripe: of("stripe"),
    accent: of("accent"),
    surface: of("surface"),
    truth: of("truth"),
    shades: [],
    edges: [],
    solid: [],
  };
  for (let c = 0; c < NUM_COLOURS; c++) {
    const colour = channels(of(`class-${c}`));
    paint.solid.push(of(`class-${c}`));
    paint.edges.push(mixed(colour, ink, 0.35));
    paint.shades.push(
      Array.from({ length: SHADES + 1 }, (_, level) =>
        mixed(surface, colour, 0.12 + 0.88 * (level / SHADES)),
      ),
    );
  }
}

function channels(hex) {
  return [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

function mixed(from, to, share) {
  return `rgb(${from.map((channel, i) => Math.round(channel + (to[i] - channel) * share)).join(",")})`;
}

function rowsOfLane() {
  return Math.max(1, Number(report.hasTruth) + state.runs.filter(Boolean).length);
}

function laneHeight() {
  return Math.max(LEAST_LANE, 2 * PAD + rowsOfLane() * (BAR + GAP) - GAP);
}

function rowOf(segment) {
  if (segment.run === -1) return 0;
  const above = Number(report.hasTruth);
  if (segment.run === -2) return Math.min(above, rowsOfLane() - 1);
  return above + state.runs.slice(0, segment.run).filter(Boolean).length;
}

// Where bars of a card lie: the scale from seconds to pixels, and the top of each lane's rows.
function geometry(v, width) {
  const [start, end] = viewOf(v);
  const scale = width / Math.max(end - start, 1e-9);
  const above = report.salience[report.videos[v].id] ? CURVE : 0;
  const height = laneHeight();
  const inset = (height - (rowsOfLane() * (BAR + GAP) - GAP)) / 2;
  return {
    start,
    end,
    scale,
    above,
    height,
    x: (seconds) => (seconds - start) * scale,
    seconds: (x) => start + x / scale,
    y: (lane, row) => above + lane * height + inset + row * (BAR + GAP),
  };
}

function bodyHeight(v, lanes) {
  return (report.salience[report.videos[v].id] ? CURVE : 0) + Math.max(lanes, 1) * laneHeight() + AXIS;
}

function drawLanes(canvas, v, hovered) {
  const width = canvas.clientWidth,
    height = canvas.clientHeight;
  const ratio = window.devicePixelRatio || 1;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const place = geometry(v, width),
    lanes = lanesOf(v);
  drawGrid(pen, place, width, height);
  if (place.above) drawCurves(pen, report.salience[report.videos[v].id], place, width);
  const selected = state.selected && state.selected.video === v ? state.selected.key : null;
  const last = [];
  lanes.forEach((lane, l) => {
    pen.fillStyle = paint.line;
    pen.fillRect(0, place.above + l * place.height, width, 1);
    // The surest last, and so on top.
    const falling = [...lane.segments].sort(
      (a, b) => (a.score === null ? 2 : a.score) - (b.score === null ? 2 : b.score),
    );
    for (const segment of falling) {
      const box = boxOf(segment, l, place);
      if (box.x > width || box.x + box.width < 0) continue;
      drawBar(pen, segment, box);
      if (segment.key === selected) last.push(() => drawSelection(pen, box));
      else if (segment.key === hovered) last.push(() => drawHover(pen, box));
    }
  });
  for (const action of last) action();
}

function boxOf(segment, lane, place) {
  const x = place.x(segment.start);
  return { x, y: place.y(lane, rowOf(segment)), width: Math.max(2, place.x(segment.end) - x), height: BAR };
}

function drawBar(pen, segment, box) {
  const { x, y, width, height } = box;
  const colour = segment.label % NUM_COLOURS;
  pen.lineWidth = 1;
  if (segment.state === "rejected") {
    pen.strokeStyle = paint.grey;
    pen.setLineDash([2, 2]);
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
    pen.setLineDash([]);
    line(pen, x, y + height, x + width, y);
    return;
  }
  if (segment.run === -1) {
    const missed = state.marked && isMissed(segment.row);
    pen.fillStyle = missed ? paint.surface : paint.truth;
    pen.fillRect(x, y, width, height);
    pen.strokeStyle = paint.truth;
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
    if (missed) crossed(pen, box, paint.truth);
  } else {
    const strength =
      segment.score === null || segment.state ? 1 : Math.min(1, Math.max(0, segment.score / report.highest));
    pen.fillStyle = paint.shades[colour][Math.round(SHADES * strength)];
    pen.fillRect(x, y, width, height);
    pen.strokeStyle = paint.edges[colour];
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 1), height - 1);
    if (state.marked && segment.kind !== UNSCORED && segment.kind !== TRUE_POSITIVE)
      crossed(pen, box, paint.edges[colour]);
  }
  if (segment.state || segment.changed || segment.run === -2) drawMark(pen, segment, box);
}

// What a person has decided, as a sign before the bar, which needs no colour.
function drawMark(pen, segment, { x, y, width, height }) {
  pen.fillStyle = paint.surface;
  const sign = segment.run === -2 ? "+" : segment.changed ? "✎" : "✓";
  pen.font = "bold 9px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  if (width > 12) pen.fillText(sign, x + 2, y + height / 2 + 0.5);
  else {
    pen.fillStyle = paint.ink;
    pen.fillText(sign, x + width + 1, y + height / 2 + 0.5);
  }
}

function crossed(pen, { x, y, width, height }, colour) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let place = x - height; place < x + width; place += 5) {
    pen.moveTo(place, y + height);
    pen.lineTo(place + height, y);
  }
  pen.stroke();
  pen.restore();
}

function drawSelection(pen, { x, y, width, height }) {
  pen.strokeStyle = paint.ink;
  pen.lineWidth = 2;
  pen.strokeRect(x - 2, y - 2, width + 4, height + 4);
  pen.fillStyle = paint.ink;
  pen.fillRect(x - 4, y - 4, 3, height + 8);
  pen.fillRect(x + width + 1, y - 4, 3, height + 8);
}

function drawHover(pen, { x, y, width, height }) {
  pen.strokeStyle = paint.ink;
  pen.lineWidth = 1;
  pen.strokeRect(x - 1.5, y - 1.5, width + 3, height + 3);
}

function drawGrid(pen, place, width, height) {
  const step = niceStep((place.end - place.start) / Math.max(2, width / 90));
  const digits = step < 1 ? 1 : 0;
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "alphabetic";
  for (let t = Math.ceil(place.start / step) * step; t <= place.end + 1e-9; t += step) {
    const x = Math.round(place.x(t)) + 0.5;
    pen.strokeStyle = paint.stripe;
    pen.lineWidth = 1;
    line(pen, x, 0, x, height - AXIS + 4);
    pen.fillStyle = paint.grey;
    pen.textAlign = x < 14 ? "left" : x > width - 14 ? "right" : "center";
    pen.fillText(clock(t, digits), x, height - 5);
  }
}

function drawCurves(pen, curves, place, width) {
  const names = Object.keys(curves).filter((name) => name !== "times");
  names.forEach((name, c) => {
    pen.strokeStyle = paint.solid[c % NUM_COLOURS];
    pen.setLineDash(c ? [4, 3] : []);
    pen.lineWidth = 1.25;
    pen.beginPath();
    curves.times.forEach((time, i) => {
      const y = CURVE - 4 - (CURVE - 8) * curves[name][i];
      if (i) pen.lineTo(place.x(time), y);
      else pen.moveTo(place.x(time), y);
    });
    pen.stroke();
  });
  pen.setLineDash([]);
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function niceStep(least) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  return steps.find((step) => step >= least) || Math.ceil(least / 3600) * 3600;
}
