import { enveloped } from '../../gateway/domain/grpc/envelope.ts';

/** One car, as bench/doors sends it by each door. */
export const CAR = { wt: 2.62, hp: 110 };

/** A call of `fuel.v1.Fuel/Predict` with the car: a `PredictRequest` in its envelope. */
export function predictCall(): Buffer {
  const car = Object.values(CAR).map((value, i) => Buffer.concat([tag(i + 1, FIXED64), double(value)]));
  return enveloped(field(1, ...car));
}

/** A call of `inference.GRPCInferenceService/ModelInfer` with the car: a `ModelInferRequest` in its envelope. */
export function inferCall(model: string): Buffer {
  const inputs = Object.entries(CAR).map(([name, value]) =>
    field(5, text(1, name), text(2, 'FP64'), field(3, Buffer.from([1])), field(5, field(7, double(value)))),
  );
  return enveloped(Buffer.concat([text(1, model), ...inputs]));
}

const FIXED64 = 1;
const LENGTH_DELIMITED = 2;

const tag = (number: number, wireType: number) => Buffer.from([(number << 3) | wireType]);

const text = (number: number, value: string) => field(number, Buffer.from(value));

/** Of fewer than 128 bytes. */
function field(number: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([tag(number, LENGTH_DELIMITED), Buffer.from([content.length]), content]);
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}
