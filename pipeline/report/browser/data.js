// The report's data: JSON for what has names, typed arrays for everything of a length.

const ARRAYS = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};
const TRUE_POSITIVE = 0;
const UNSCORED = 255;

async function readReport() {
  const about = JSON.parse(document.getElementById("about").textContent);
  const columns = await unpacked(document.getElementById("columns").textContent, about.columns);
  const count = about.videos.id.length;
  const videos = [];
  for (let v = 0; v < count; v++) {
    videos.push({
      id: about.videos.id[v],
      subset: about.videos.subset[v] || "",
      source: about.videos.source[v],
      number: about.videos.number[v],
      link: about.videos.link[v],
      duration: columns["video.duration"][v],
      lasting: columns["video.lasting"][v] === 1,
    });
  }
  const table = (prefix) =>
    Object.fromEntries(
      Object.entries(columns)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, column]) => [name.slice(prefix.length), column]),
    );
  const runs = about.runs.map((run, r) => ({ ...run, ...table(`run${r}.`) }));
  let highest = 0;
  for (const run of runs) for (const score of run.score) if (score > highest) highest = score;
  return {
    ...about,
    videos,
    runs,
    truth: table("truth."),
    hasTruth: about.truth,
    highest: highest || 1,
    position: new Map(videos.map((video, v) => [video.id, v])),
  };
}

async function unpacked(text, about) {
  const packed = atob(text.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const content = new Uint8Array(await new Response(stream).arrayBuffer());
  const columns = {};
  let offset = 0;
  for (const { name, type, count } of about) {
    const size = ARRAYS[type].BYTES_PER_ELEMENT;
    const numbers = new Uint8Array(count * size);
    // The lowest bytes of all numbers come first, then the next higher ones.
    for (let place = 0; place < size; place++) {
      for (let i = 0; i < count; i++) numbers[i * size + place] = content[offset + place * count + i];
    }
    columns[name] = new ARRAYS[type](numbers.buffer);
    offset += count * size;
  }
  return columns;
}
