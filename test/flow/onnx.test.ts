import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { INFERENCE_SERVICE } from '../../gateway/domain/inference/rpc-form.ts';
import { onnxFlaws } from '../../gateway/edges/onnx/runtime.ts';
import { post, type Received } from '../support/call.ts';
import { startGateway, type ComposedGateway } from '../support/composed-gateway.ts';
import { ensureOnnxRuntime } from '../support/npm-package.mjs';
import { isRunning } from '../support/plumber/serve.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

const HERE = fileURLToPath(new URL('../support/onnx/', import.meta.url));

interface ModelTraits {
  /** More of its entry in `local`. */
  readonly more?: string;
  /** More of its route. */
  readonly route?: string;
  readonly service?: string;
  /** Of a second route to it, at `/also-NAME/**`. */
  readonly also?: string;
}

/** A gateway with these models of test/support/onnx, each at `/NAME/**`, once all answer. */
async function startModels(
  t: TestContext,
  models: Readonly<Record<string, ModelTraits>>,
  { hasRuntime = true }: { readonly hasRuntime?: boolean } = {},
) {
  const folder = aFolder(t);
  if (hasRuntime) symlinkSync(await ensureOnnxRuntime(), join(folder, 'node_modules'));
  const names = Object.keys(models);
  for (const name of names) copyFileSync(`${HERE}${name}.onnx`, join(folder, `${name}.onnx`));
  const { PATH = '', HOME = '' } = process.env;
  const gateway = await startGateway(t, {
    local: names.map(name => {
      const { more = '' } = models[name] ?? {};
      return `{ service: ${name}, onnx: ${JSON.stringify(join(folder, `${name}.onnx`))}${more && `, ${more}`} }`;
    }),
    more: 'inference: {}',
    routes: `
services: { ${names.map(name => `${name}: { ${models[name]?.service ?? ''} }`).join(', ')} }
routes:
${names.map(name => routeOf(name, models[name]?.route)).join('\n')}
${names.map(name => routeOf(`also-${name}`, models[name]?.also)).join('\n')}`,
    env: { PATH, HOME },
  });
  if (hasRuntime) {
    await until(async () => (await statesOf(gateway)).filter(isUp).length === names.length, 'all models answer');
  }
  return { gateway, fileOf: (name: string) => join(folder, `${name}.onnx`) };
}

const routeOf = (name: string, more = '') =>
  `  - { id: ${name}, uri: 'lb://${name.replace('also-', '')}', predicates: ['Path=/${name}/**'], filters: ['StripPrefix=1']${more && `, ${more}`} }`;

const isUp = (state: string) => state === 'in-rotation';

const statesOf = async (gateway: ComposedGateway) =>
  (await gateway.services()).flatMap(({ instances }) => instances.map(({ state }) => state));

const problemOf = ({ text }: Received) => JSON.parse(text) as { detail: string; errors?: { pointer: string }[] };

const noticesOf = (gateway: ComposedGateway) => gateway.log.of('notice').map(({ text }) => String(text));

/** What R predicts, by models.R. */
function predictionsOfR(code: string): Record<string, number[]> {
  const program = `source("${HERE}models.R"); cat(jsonlite::toJSON({${code}}, digits = NA))`;
  return JSON.parse(execFileSync('Rscript', ['--vanilla', '-e', program], { encoding: 'utf8' })) as Record<
    string,
    number[]
  >;
}

function assertNear(found: readonly number[], wanted: readonly number[] | undefined, relative: number): void {
  assert.equal(found.length, wanted?.length);
  for (const [i, value] of found.entries()) {
    const own = wanted?.[i] ?? NaN;
    assert.ok(Math.abs(value - own) <= relative * Math.abs(own), `${value} is not ${own}`);
  }
}

/** The processes that this one has started and that run a model. */
function modelProcesses(): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  return children.map(Number).filter(pid => pid > 0 && isModel(pid));
}

function isModel(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('model-main.ts');
  } catch {
    return false; // it has ended
  }
}

const FLOAT32 = 1e-6;

test('an ONNX model', async t => {
  const { gateway } = await startModels(t, {
    ...{ chicks: {}, forest: {}, gear: {}, types: {}, pick: {} },
    fuel: { route: 'pure: true, validate: {}, batch: { waitMax: 200ms }' },
  });

  await t.test('predicts what R predicts: in doubles, from text, by trees, and classes', async () => {
    const cars = [2.62, 3.44, 1.513, 5.424].map((wt, i) => ({ wt, hp: [110, 175, 113, 264][i] ?? 0 }));
    const chicks = [1, 2, 3, 4].map(diet => ({ Time: 3 * diet, Diet: String(diet) }));

    const received = await Promise.all([
      gateway.call('/fuel/predict', post(cars)),
      gateway.call(
        '/chicks/predict',
        post({ Time: chicks.map(({ Time }) => Time), Diet: chicks.map(({ Diet }) => Diet) }),
      ),
      gateway.call('/forest/predict', post(cars)),
      gateway.call('/gear/predict', post(cars.map(({ wt, hp }) => ({ X1: wt, X2: hp })))),
      gateway.call('/fuel/predict', post(cars.slice(0, 1))),
    ]);

    const r = predictionsOfR(`
      cars <- data.frame(wt = c(2.62, 3.44, 1.513, 5.424), hp = c(110, 175, 113, 264))
      chicks <- data.frame(Time = 3 * (1:4), Diet = as.character(1:4))
      list(fuel = unname(predict(fit_fuel(), cars)), chicks = unname(predict(fit_chicks(), chicks)),
           forest = unname(predict(fit_forest(), cars)),
           gear = unname(predict(fit_gear(), cars, type = "response")))`);
    const [fuel, ofChicks, forest, gear, one] = received.map(({ text }) => JSON.parse(text) as unknown);
    assertNear((fuel as { '.pred': number[] })['.pred'], r['fuel'], 1e-14);
    assertNear((ofChicks as { '.pred': number[] })['.pred'], r['chicks'], FLOAT32);
    assertNear((forest as { '.pred': number[] })['.pred'], r['forest'], FLOAT32);
    const classes = gear as { '.pred_class': string; '.pred_automatic': number; '.pred_manual': number }[];
    for (const [i, one] of classes.entries()) {
      assert.deepEqual(Object.keys(one), ['.pred_class', '.pred_automatic', '.pred_manual']);
      assert.ok(Math.abs(one['.pred_manual'] - (r['gear']?.[i] ?? NaN)) < 1e-5);
      assert.equal(one['.pred_class'], one['.pred_manual'] > 0.5 ? 'manual' : 'automatic');
    }
    assert.equal(typeof (one as { '.pred': unknown })['.pred'], 'number', 'a value alone stands bare');
  });

  await t.test('is given each type exactly, and refuses what its columns cannot hold', async () => {
    const row = {
      ...{ float16: 1.5, float32: null, float64: '-Inf', int8: -128, uint32: 4_294_967_295, bool: true, text: 'ü€😀' },
      ...{
        int64: 0,
        uint64: '18446744073709551615',
        array: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
    };
    const written = JSON.stringify([row, { ...row, array: [6, 5, 4, 3, 2, 1] }]).replaceAll(
      '"int64":0',
      '"int64":9223372036854775807',
    );

    const received = await gateway.call('/types/predict', post(written));

    const [first = '', second = ''] = received.text.slice(1, -1).split(/(?<=\}),/);
    assert.equal(
      first,
      '{".pred_float16_out":1.5,".pred_float32_out":"NaN",".pred_float64_out":"-Inf",".pred_int8_out":-128,' +
        '".pred_uint32_out":4294967295,".pred_int64_out":9223372036854775807,".pred_uint64_out":18446744073709551615,' +
        '".pred_bool_out":true,".pred_text_out":"ü€😀",".pred_array_out":[[1,2,3],[4,5,6]]}',
    );
    assert.match(second, /\[\[6,5,4\],\[3,2,1\]\]/);

    for (const [change, pointer] of [
      [{ float32: 1e39 }, '/0/float32'],
      [{ int8: 128 }, '/0/int8'],
      [{ int64: 1.5 }, '/0/int64'],
      [{ uint64: -1 }, '/0/uint64'],
      [{ bool: 'perhaps' }, '/0/bool'],
      [{ text: null }, '/0/text'],
      [{ array: [1, 2] }, '/0/array'],
    ] as const) {
      const refused = await gateway.call('/types/predict', post([{ ...row, ...change }]));
      assert.deepEqual([refused.status, refused.code], [422, 'INVALID_INPUT'], JSON.stringify(change));
      assert.equal(problemOf(refused).errors?.[0]?.pointer, pointer);
    }
    assert.equal((await gateway.call('/types/predict', post('[{"float16":'))).code, 'BAD_REQUEST');
  });

  await t.test(
    'that takes one row at once is asked for each, and its own failure is 500 whose reason is in the log',
    async () => {
      const received = await gateway.call('/pick/predict', post([{ at: 2 }, { at: 0 }]));
      const failed = await gateway.call('/pick/predict', post([{ at: 7 }]));
      const elsewhere = await gateway.call('/pick/else', post([]));
      const requested = await gateway.call('/pick/predict');

      assert.equal(received.text, '{".pred":[30,10]}');
      assert.deepEqual([failed.status, failed.code], [500, 'MODEL_FAILED']);
      assert.doesNotMatch(failed.text, /Gather/);
      assert.ok(noticesOf(gateway).some(text => /Gather.*out of data bounds/.test(text)));
      assert.deepEqual(
        [elsewhere.code, requested.code, requested.headers.allow],
        ['NO_ROUTE', 'METHOD_NOT_ALLOWED', 'POST'],
      );
      assert.ok((await statesOf(gateway)).every(isUp), 'a model that fails is no instance that is ill');
    },
  );

  await t.test('publishes its columns, so that its input is validated and calls travel together', async () => {
    await until(
      () => gateway.log.of('batching').some(({ isOn }) => isOn === true),
      'rows are proven to be independent',
    );
    const cars = Array.from({ length: 16 }, (_, i) => ({ wt: 2 + i / 8, hp: 100 + i }));
    const requests = async () => (await gateway.service('fuel')).instances[0]?.requests ?? 0;
    let received: readonly Received[] = [];
    await until(async () => {
      const before = await requests();
      received = await Promise.all(cars.map(car => gateway.call('/fuel/predict', post([car]))));
      return (await requests()) - before <= 8; // rows like these are compared first
    }, 'they travel together');
    const alone = await gateway.call('/fuel/predict', post(cars));
    const together = received.map(({ text }) => (JSON.parse(text) as { '.pred': number })['.pred']);
    assert.deepEqual(together, (JSON.parse(alone.text) as { '.pred': number[] })['.pred']);
    await seeOneBatch(gateway, requests);
    const refused = await gateway.call('/fuel/predict', post([{ wt: 'heavy', hp: 1 }]));
    assert.deepEqual([refused.code, problemOf(refused).errors?.[0]?.pointer], ['INVALID_INPUT', '/0/wt']);
    assert.equal(
      (await gateway.call('/fuel/prototype')).text,
      '{"wt":{"type":"numeric","example":1,"details":[]},"hp":{"type":"numeric","example":1,"details":[]}}',
    );
  });
});

/** Calls by REST and by the Open Inference Protocol, over REST and over gRPC, travel together, each answered in its form. */
async function seeOneBatch(gateway: ComposedGateway, requests: () => Promise<number>): Promise<void> {
  const column = (name: string, value: number) => ({ name, shape: [1], datatype: 'FP64', data: [value] });
  const contents = ({ data, ...input }: ReturnType<typeof column>) => ({ ...input, contents: { fp64Contents: data } });
  const infer = `/${INFERENCE_SERVICE}/ModelInfer`;
  let received: readonly Received[] = [];
  await until(async () => {
    const before = await requests();
    received = await Promise.all([
      gateway.call('/fuel/predict', post([{ wt: 2.125, hp: 101 }])),
      gateway.call('/v2/models/fuel/infer', post({ inputs: [column('wt', 2.25), column('hp', 102)] })),
      gateway.call(infer, post({ modelName: 'fuel', inputs: [column('wt', 2.375), column('hp', 103)].map(contents) })),
    ]);
    return (await requests()) - before === 1;
  }, 'calls by all doors travel together');

  const metadata = JSON.parse((await gateway.call('/v2/models/fuel')).text) as { platform: string };
  assert.equal(metadata.platform, 'onnx_onnxv1');
  const alone = await gateway.call('/fuel/predict', post([2.125, 2.25, 2.375].map((wt, i) => ({ wt, hp: 101 + i }))));
  const wanted = (JSON.parse(alone.text) as { '.pred': number[] })['.pred'];
  const said = received.map(({ text }) => JSON.parse(text) as Record<string, unknown>);
  const output = { name: '.pred', datatype: 'FP64' };
  assert.deepEqual(said, [
    { '.pred': wanted[0] },
    {
      model_name: 'fuel',
      model_version: said[1]?.['model_version'],
      outputs: [{ ...output, shape: [1], data: [wanted[1]] }],
    },
    {
      ...{ modelName: 'fuel', modelVersion: said[1]?.['model_version'] },
      outputs: [{ ...output, shape: ['1'], contents: { fp64Contents: [wanted[2]] } }],
    },
  ]);
}

describe('the process of an ONNX model', () => {
  test('that does not end is ended by its time, and others are answered meanwhile and afterwards', async t => {
    const { gateway } = await startModels(t, {
      endless: { more: 'instances: 2', route: 'timeout: 300ms', service: 'hangMax: 1s' },
    });
    const before = modelProcesses();
    assert.equal(before.length, 2);

    const stuck = gateway.call('/endless/predict', post([{ times: 9e15 }]));
    const answered = await gateway.call('/also-endless/predict', post([{ times: 2 }]));

    assert.equal(answered.text, '{".pred":2}');
    assert.equal((await stuck).status, 504);
    await until(() => before.filter(isRunning).length === 1, 'the one that hangs is ended');
    await until(() => modelProcesses().length === 2, 'and replaced');
    assert.equal((await gateway.call('/also-endless/predict', post([{ times: 3 }]))).text, '{".pred":3}');
  });

  test('whose process dies costs its call a 502, or is asked again by another where that does no harm', async t => {
    const { gateway } = await startModels(t, { endless: { also: 'pure: true' } });
    const dies = async () => {
      await until(async () => (await gateway.service('endless')).instances[0]?.inFlight === 1, 'it is asked');
      for (const pid of modelProcesses()) process.kill(pid, 'SIGKILL');
    };

    const lost = gateway.call('/endless/predict', post([{ times: 9e15 }]));
    await dies();
    assert.deepEqual([(await lost).status, (await lost).code], [502, 'CONNECTION_LOST']);
    await until(async () => (await gateway.call('/endless/predict', post([{ times: 1 }]))).status === 200, 'replaced');

    const repeated = gateway.call('/also-endless/predict', post([{ times: 2e4 }]));
    await dies();
    assert.equal((await repeated).text, '{".pred":20000}');
  });

  test('is another version once its file has changed, and a file that cannot be used changes nothing', async t => {
    const { gateway, fileOf } = await startModels(t, { fuel: { more: 'instances: 2' } });
    const version = async () => (await gateway.service('fuel')).instances[0]?.version;
    const before = await version();

    writeFileSync(fileOf('fuel'), 'no model');
    await until(
      () => noticesOf(gateway).some(text => /the one before goes on: .*is no ONNX file/.test(text)),
      'it is said',
    );
    assert.equal((await gateway.call('/fuel/predict', post([{ wt: 2.62, hp: 110 }]))).status, 200);
    assert.equal(await version(), before);

    copyFileSync(`${HERE}forest.onnx`, fileOf('fuel'));
    await until(async () => (await version()) !== before, 'another version');
    assert.match((await gateway.call('/fuel/predict', post([{ wt: 2.62, hp: 110 }]))).text, /^\{"\.pred":21\.23/);
    await until(() => modelProcesses().length === 2, 'as many processes as before');
  });

  test('without onnxruntime-node is no instance, and one line says what to install', async t => {
    const { gateway, fileOf } = await startModels(t, { fuel: {} }, { hasRuntime: false });

    const received = await gateway.call('/fuel/predict', post([]));

    assert.equal(received.code, 'SERVICE_UNAVAILABLE');
    const install = `npm install --prefix ${dirname(fileOf('fuel'))} --ignore-scripts onnxruntime-node`;
    const line = `the package onnxruntime-node is not installed: ${install}`;
    assert.deepEqual(
      noticesOf(gateway).filter(text => text.includes('onnxruntime-node')),
      [`the model cannot be used: ${line}`],
    );
    assert.deepEqual(onnxFlaws(fileOf('fuel')), [{ severity: 'warning', message: line }]);
  });
});
