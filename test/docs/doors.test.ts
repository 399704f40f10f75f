import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startGateway } from '../support/composed-gateway.ts';
import { ensureBuf } from '../support/npm-package.mjs';
import { answer, startUpstream, type Script } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

const page = readFileSync(new URL('../../docs/doors.md', import.meta.url), 'utf8');

/** The calls to paste of the page's first table, by who makes them. */
const calls = new Map(
  page
    .slice(page.indexOf('## In: who calls'), page.indexOf('### CSV'))
    .split('\n')
    .flatMap((line): [string, string][] => {
      const [, who, command] = /^\| (.*?) \| .* \| `(.*)` \|$/.exec(line) ?? [];
      return who === undefined || command === undefined ? [] : [[who, command]];
    }),
);

/** The page's block of this language. */
const blockOf = (language: string) =>
  new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(page)?.[1] ?? assert.fail(`no ${language}`);

const PROTOTYPE = { wt: { type: 'numeric', example: 2.6 }, hp: { type: 'numeric', example: 110 } };

/** A model that predicts 23.5 for each row, and reports events. */
const model: Script = (socket, request) => {
  const as = (type: string, body: string) => answer(body, { fields: `Content-Type: ${type}\r\n` })(socket, request);
  if (request.head.startsWith('GET /prototype ')) as('application/json', JSON.stringify(PROTOTYPE));
  else if (!request.head.startsWith('POST ')) as('text/event-stream', 'data: 1\n\n');
  else
    as(
      'application/json',
      JSON.stringify({ '.pred': (JSON.parse(String(request.body)) as unknown[]).map(() => 23.5) }),
    );
};

const PREDICTED = /^\{"\.pred":\[?23\.5\]?\}\s*$/;
const TENSOR = /"outputs":\[\{"name":"\.pred","datatype":"FP64","shape":\["?1"?\],/;

/** What comes of each. */
const WANTED: Readonly<Record<string, RegExp>> = {
  'a program, a shell': PREDICTED,
  'R, with vetiver': /\$\.pred[^]*\[1\] 23\.5/,
  'a browser': PREDICTED,
  'a spreadsheet, a data frame': /^\.pred\r\n23\.5\r\n$/,
  'an app, a service': PREDICTED,
  'a page': PREDICTED,
  'a pipeline with a file': /^HTTP\/1\.1 202 Accepted\r\n[^]*Location: \/jobs\//i,
  'who shares files': /^\.pred,error\r\n23\.5,\r\n$/,
  'a client of KServe, Triton, MLServer': TENSOR,
  'the same clients, over gRPC': TENSOR,
  'who follows an answer as it comes': /^data: 1\n\n$/,
};

test('the page on doors has a call to paste for each, which does what it says', async t => {
  assert.deepEqual([...calls.keys()], Object.keys(WANTED));
  const folder = aFolder(t);
  mkdirSync(join(folder, 'inbox'));
  writeFileSync(join(folder, 'cars.csv'), 'wt,hp\n2.62,110\n');
  writeFileSync(join(folder, 'fuel.proto'), blockOf('proto'));
  const upstream = await startUpstream(t, model);
  const route = blockOf('yaml').replace(
    /proto: fuel\.proto \}.*/,
    `proto: '${join(folder, 'fuel.proto')}' }\n  pure: true\n  csv: true`,
  );
  const gateway = await startGateway(t, {
    services: { fuel: [upstream.origin] },
    listen: 'h2c: true',
    more: `inference: {}\njobs: { folder: ${join(folder, 'jobs')}, inbox: { folder: ${join(folder, 'inbox')}, route: fuel } }`,
    routes: `services: { fuel: { concurrency: 8, health: { interval: 1h } } }
routes:
- { id: events, uri: lb://fuel, predicates: ['Path=/api/events'], stream: true }
${route}`,
  });
  const env = { ...process.env, PATH: `${await ensureBuf()}:${process.env['PATH'] ?? ''}`, HOME: folder };
  const inShell = async (command: string) => {
    const here = command.replaceAll('http://127.0.0.1:8080', gateway.url);
    const [program, ...args] = here.startsWith('fetch(')
      ? [process.execPath, '-e', `${here}.then(answer => answer.text()).then(console.log)`]
      : ['bash', '-c', here];
    return (await promisify(execFile)(program, args, { cwd: folder, env })).stdout;
  };
  for (const [who, command] of calls) {
    let said = await inShell(command);
    if (command.startsWith('buf ')) said = JSON.stringify(JSON.parse(said));
    if (command.startsWith('cp ')) {
      const result = join(folder, 'inbox', 'cars.result.csv');
      await until(() => existsSync(result), 'the answers are beside the file');
      said = readFileSync(result, 'utf8');
    }
    assert.match(said, WANTED[who] ?? /never/, `${who}: ${command}`);
  }

  const listing = /buf curl [^`]*--list-methods [^`]*/.exec(page)?.[0] ?? assert.fail('no listing of methods');
  const methods = (await inShell(listing)).split('\n');
  assert.deepEqual(
    ['fuel.v1.Fuel/Predict', 'inference.GRPCInferenceService/ModelInfer'].filter(name => !methods.includes(name)),
    [],
  );
});
