import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadContract } from '../../../gateway/load.ts';
import { anOnnxFile } from '../../support/onnx/file.ts';
import { aFolder } from '../../support/folder.ts';

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
