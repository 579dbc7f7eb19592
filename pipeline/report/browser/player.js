// The player: one video element, which a click on a segment takes to that moment.

const player = { node: null, note: null, video: -1 };

function served() {
  return new URLSearchParams(location.search).has("served") ? "?served" : "";
}

function sourceOf(v) {
  const { source, number: place } = report.videos[v];
  if (served() && place !== null) return `/video/${place}`;
  return source;
}

function makePlayer() {
  player.node = element("video", {
    id: "player",
    controls: true,
    preload: "metadata",
    playsInline: true,
    hidden: true,
    "aria-label": "Video",
  });
  player.note = element("p", { class: "quiet", id: "player-note" });
  player.node.addEventListener("error", () => {
    if (player.video < 0) return;
    player.node.hidden = true;
    player.note.hidden = false;
    player.note.textContent =
      "This browser cannot play the file: it is not where it was, or of another kind.";
  });
  player.node.addEventListener("loadedmetadata", () => {
    const video = report.videos[player.video];
    if (!video || video.lasting || !Number.isFinite(player.node.duration)) return;
    video.duration = Math.max(video.duration, player.node.duration);
    video.lasting = true;
    tell("duration");
  });
  const move = () => {
    for (const card of list.cards.values()) movePlayhead(card);
  };
  for (const event of ["timeupdate", "seeked", "emptied"]) player.node.addEventListener(event, move);
  const follow = () => {
    move();
    if (!player.node.paused) requestAnimationFrame(follow);
  };
  player.node.addEventListener("play", follow);
  when("selection", () => showVideo(state.video));
  return element("div", { class: "player" }, player.node, player.note);
}

function showVideo(v) {
  if (player.video === v) return;
  player.video = v;
  const source = sourceOf(v);
  player.node.hidden = !source;
  player.note.hidden = Boolean(source);
  if (source) {
    player.node.src = source;
  } else {
    player.node.removeAttribute("src");
    player.node.load();
    const away = report.videos[v].number !== null;
    player.note.textContent = away
      ? "The video is on storage that browsers do not open: serve=true plays it."
      : "No file of this video is known: videos=<folder> says where they lie.";
  }
}

function playFrom(v, seconds) {
  showVideo(v);
  if (!sourceOf(v)) return;
  const { node } = player;
  const start = () => {
    if (player.video !== v) return;
    node.currentTime = Math.max(0, seconds);
    node.play().catch(() => {}); // where the browser wants a click on the player itself
  };
  if (node.readyState >= 1) start();
  else node.addEventListener("loadedmetadata", start, { once: true });
}

function movePlayhead(card) {
  const on = card.video === player.video && player.node.readyState >= 1 && !player.node.hidden;
  const { start, end, x } = geometry(card.video, card.canvas.clientWidth);
  const now = player.node.currentTime;
  card.playhead.hidden = !on || now < start || now > end;
  if (!card.playhead.hidden) card.playhead.style.transform = `translateX(${x(now)}px)`;
}

function playerTime() {
  return player.video === state.video && player.node.readyState >= 1 ? player.node.currentTime : null;
}
