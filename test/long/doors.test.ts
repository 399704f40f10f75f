import { test } from 'node:test';
import { seeThatDoorsHold } from '../support/hostile-doors.ts';

test('a thousand hostile bodies and answers at each door are answered clearly and leave nothing behind', async t => {
  await seeThatDoorsHold(t, { rserve: 1_000, onnx: 1_000, script: 1_000, answers: 1_000 });
});
