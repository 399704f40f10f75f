import { createRequire } from 'node:module';

// onnxruntime alone: how many rows a second it predicts, in batches of so many, on one processor. Prints the number.

const [runtime, file, rows, seconds] = process.argv.slice(2);
const { InferenceSession, Tensor } = createRequire(import.meta.url)(runtime);

const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const column = (from, over) => Float32Array.from({ length: Number(rows) }, (_, i) => from + (i % over));
const feeds = () => ({
  wt: new Tensor('float32', column(1, 9), [Number(rows), 1]),
  hp: new Tensor('float32', column(100, 300), [Number(rows), 1]),
});

async function runFor(ms) {
  const beganMs = performance.now();
  let runs = 0;
  for (; performance.now() - beganMs < ms; runs++) await session.run(feeds());
  return (runs * Number(rows) * 1_000) / (performance.now() - beganMs);
}

await runFor(500);
process.stdout.write(`${await runFor(Number(seconds) * 1_000)}\n`);
