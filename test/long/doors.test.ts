import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../gateway/edges/clock.ts';
import { GatewayError } from '../../gateway/domain/errors.ts';
import { ParquetProcesses } from '../../gateway/edges/parquet/parquet-process.ts';
import { seeThatDoorsHold } from '../support/hostile-doors.ts';
import { seeded } from '../support/service-at-work.ts';
import { aFolder } from '../support/folder.ts';

test('a thousand hostile bodies and answers at each door are answered clearly and leave nothing behind', async t => {
  await seeThatDoorsHold(t, { rserve: 1_000, onnx: 1_000, script: 1_000, answers: 1_000 });
});

const FILES = 300;

test('hundreds of damaged Parquet files are each read, or refused as the caller’s fault', async t => {
  const folder = aFolder(t);
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  const sound = readFileSync(new URL('../support/parquet/columns.parquet', import.meta.url));
  const processes = new ParquetProcesses(systemClock);
  const random = seeded(1);
  const counts = new Map<string, number>();

  for (let i = 0; i < FILES; i += 1) {
    const file = Buffer.from(sound);
    for (let changes = 1 + random.below(4); changes > 0; changes -= 1)
      file[4 + random.below(file.length - 12)] = random.below(256);
    writeFileSync(source, file);
    const task = { kind: 'to-lines', source, target, bytesMax: 10_000_000 } as const;
    const done = processes.run(task, new AbortController().signal);
    const outcome = await done.then(
      () => 'read',
      (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
    );
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }

  t.diagnostic(JSON.stringify(Object.fromEntries(counts)));
  const others = [...counts.keys()].filter(outcome => !['read', 'BAD_REQUEST', 'BODY_TOO_LARGE'].includes(outcome));
  assert.deepEqual(others, []);
  assert.ok((counts.get('read') ?? 0) > 0 && (counts.get('BAD_REQUEST') ?? 0) > 0);
});
