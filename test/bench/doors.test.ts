import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parse } from 'protobufjs';
import { forestFile } from '../../bench/doors/forest.ts';
import { CAR, inferCall, predictCall } from '../../bench/doors/messages.ts';
import { doorSection, isDoorMet, type DoorRow } from '../../bench/doors/table.ts';
import { planOf } from '../../gateway/domain/onnx/columns.ts';
import { onlyMessageOf } from '../../gateway/domain/grpc/envelope.ts';
import { INFERENCE_FILE } from '../../gateway/domain/inference/rpc-form.ts';
import { readOnnxModel } from '../../gateway/domain/onnx/model-file.ts';

const ROW: DoorRow = {
  ...{ what: 'Rserve: p50', unit: 'ms', against: 'a bare client', atMost: 1.25 },
  ...{ own: 1.2, other: 1, ratio: 1.2 },
};

describe('the bench of doors', () => {
  test('has a forest whose columns are those that its load sends', () => {
    const model = readOnnxModel(forestFile(2));
    assert.ok(!('flaw' in model));
    const plan = planOf(model);

    assert.ok(!('flaw' in plan));
    assert.deepEqual(
      plan.columns.map(({ name }) => name),
      ['wt', 'hp'],
    );
  });

  test('sends the same car by each method of gRPC, since h2load cannot tell a refusal from a prediction', () => {
    const own = readFileSync(new URL(`../../gateway/edges/grpc/protos/${INFERENCE_FILE}`, import.meta.url), 'utf8');
    const team = `syntax = "proto3"; message Car { double wt = 1; double hp = 2; } message PredictRequest { repeated Car cars = 1; }`;
    const said = (file: string, name: string, call: Buffer) => {
      const type = parse(file).root.lookupType(name);
      return type.toObject(type.decode(onlyMessageOf(call).content), { longs: Number });
    };
    const inputs = Object.entries(CAR).map(([name, value]) => {
      return { name, datatype: 'FP64', shape: [1], contents: { fp64Contents: [value] } };
    });

    assert.deepEqual(said(team, 'PredictRequest', predictCall()), { cars: [CAR] });
    assert.deepEqual(said(own, 'inference.ModelInferRequest', inferCall('fuel')), { modelName: 'fuel', inputs });
  });

  test('shows each door beside what it leads to, and nothing where none was measured', () => {
    assert.deepEqual(doorSection(undefined), []);
    const shown = doorSection({ takenAt: '2026-01-02T03:04:05Z', loadBefore: 0.25, rows: [ROW] }).join('\n');
    assert.match(shown, /^## Doors\n.* on 2026-01-02 at a load of 0\.3 before\.\n/);
    assert.match(shown, /\| Rserve: p50 \| 1\.20 ms \| 1\.00 ms \(a bare client\) \| 1\.20 \|$/);
  });

  test('is met within its bound alone', () => {
    assert.ok(isDoorMet(ROW));
    assert.ok(!isDoorMet({ ...ROW, ratio: 1.3 }));
    assert.ok(!isDoorMet({ ...ROW, atLeast: 0.8, ratio: 0.7 }));
  });
});
