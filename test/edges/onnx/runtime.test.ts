import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock, systemRandom } from '../../../gateway/edges/clock.ts';
import { ModelHost } from '../../../gateway/edges/onnx/model-host.ts';
import { loadContract } from '../../../gateway/load.ts';
import { anOnnxFile } from '../../support/onnx/file.ts';
import { aFolder } from '../../support/folder.ts';
import { until } from '../../support/until.ts';

test('what is wrong with an ONNX file is said at its key, and a package that is missing is a warning', t => {
  const folder = aFolder(t);
  copyFileSync(fileURLToPath(new URL('../../support/onnx/fuel.onnx', import.meta.url)), join(folder, 'well.onnx'));
  writeFileSync(join(folder, 'text.onnx'), 'no model');
  writeFileSync(join(folder, 'complex.onnx'), anOnnxFile({ inputs: [{ name: 'z', type: 14, dims: [0] }] }));
  writeFileSync(join(folder, 'routes.yaml'), 'routes: []');
  writeFileSync(
    join(folder, 'gateway.yaml'),
    `discovery:
  local:
    - { service: a, onnx: absent.onnx }
    - { service: b, onnx: text.onnx }
    - { service: c, onnx: complex.onnx }
    - { service: d, onnx: well.onnx }
`,
  );

  const { problems } = loadContract(join(folder, 'gateway.yaml'), {});

  const reported = problems.map(({ line, column, severity, message }) => `${line}:${column} ${severity} ${message}`);
  assert.deepEqual(reported, [
    `3:27 error ${folder}/absent.onnx cannot be read: no such file or directory (ENOENT)`,
    `4:27 error ${folder}/text.onnx is no ONNX file: there is no wire type 6`,
    `5:27 error ${folder}/complex.onnx takes elements of type complex64 as its input \`z\``,
    `6:27 warning the package onnxruntime-node is not installed: npm install --prefix ${folder} --ignore-scripts onnxruntime-node`,
  ]);
});

test('a changed model whose process ends while it loads is tried again', async t => {
  const folder = aFolder(t);
  const [file, crash] = [join(folder, 'model.onnx'), join(folder, 'crash')];
  const model = (name: string) => fileURLToPath(new URL(`../../support/onnx/${name}.onnx`, import.meta.url));
  mkdirSync(join(folder, 'node_modules', 'onnxruntime-node'), { recursive: true });
  writeFileSync(
    join(folder, 'node_modules', 'onnxruntime-node', 'index.js'),
    `const { existsSync, rmSync } = require('node:fs');
     if (existsSync(${JSON.stringify(crash)})) { rmSync(${JSON.stringify(crash)}); process.kill(process.pid, 'SIGKILL'); }
     exports.InferenceSession = { create: async () => ({}) };`,
  );
  copyFileSync(model('fuel'), file);
  const parts = { clock: systemClock, random: systemRandom, observe: () => undefined };
  const host = new ModelHost({ service: 'fuel', file, instances: 2, env: {} }, parts, () => undefined);
  t.after(() => host.close());
  await until(() => host.entry()?.concurrency === 2, 'both are ready');
  const before = host.loaded?.version;

  writeFileSync(crash, '');
  copyFileSync(model('forest'), file);

  await until(() => host.loaded?.version !== before && host.entry()?.concurrency === 2, 'both have the new model');
  assert.equal(existsSync(crash), false);
});
