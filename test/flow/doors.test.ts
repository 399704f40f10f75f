import { test } from 'node:test';
import { seeThatDoorsHold } from '../support/hostile-doors.ts';

test('hostile bytes at a door are answered clearly, cost others nothing and leave nothing behind', async t => {
  await seeThatDoorsHold(t, { rserve: 100, onnx: 200, script: 2, answers: 60 });
});
