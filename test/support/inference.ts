import type { TestContext } from 'node:test';
import { INFERENCE_SERVICE } from '../../gateway/domain/inference/rpc-form.ts';
import { post } from './call.ts';
import { startGateway } from './composed-gateway.ts';

import { SECRET } from './gateway-process.ts';
import { answer, startUpstream } from './scripted-upstream.ts';

const PROTOTYPE = {
  wt: { type: 'numeric', example: 2.6, details: [] },
  hp: { type: 'integer', example: 110, details: [] },
  gear: { type: 'factor', example: '4', details: { levels: ['3', '4'] } },
};

/** The same two rows: as tensors of REST, as contents of gRPC, and as what R is sent. */
export const [WT, HP, GEAR] = [
  { name: 'wt', shape: [2], datatype: 'FP64', data: [2.62, null] },
  { name: 'hp', shape: [2, 1], datatype: 'INT32', data: [[110], [93]] },
  { name: 'gear', shape: [2], datatype: 'BYTES', data: ['4', '3'] },
] as const;
export const CONTENTS = [
  { name: 'wt', shape: [2], datatype: 'FP64', contents: { fp64Contents: [2.62, 'NaN'] } },
  { name: 'hp', shape: [2, 1], datatype: 'INT32', contents: { intContents: [110, 93] } },
  { name: 'gear', shape: [2], datatype: 'BYTES', contents: { bytesContents: ['NA==', 'Mw=='] } },
] as const;
export const ROWS = '[{"wt":2.62,"hp":110,"gear":"4"},{"wt":null,"hp":93,"gear":"3"}]';

/** A prediction over gRPC, for Debian's client. */
export const GRPC_INFER = {
  method: `/${INFERENCE_SERVICE}/ModelInfer`,
  request: 'inference.ModelInferRequest',
  response: 'inference.ModelInferResponse',
};

/** What a test may say of the model and its route. */
export interface ModelTraits {
  readonly route?: string;
  readonly said?: unknown;
  readonly status?: number;
  readonly prototype?: unknown;
  readonly more?: string;
  readonly filters?: string;
  /** Of `listen`. */
  readonly listen?: string;
  /** More routes, one a line. */
  readonly routes?: string;
  /** What a prediction waits for. */
  readonly held?: () => Promise<void> | undefined;
}

const USUAL = {
  ...{ route: 'pure: true', said: { '.pred': [21.5, 'NA'] }, status: 200, prototype: PROTOTYPE, held: () => undefined },
  ...{ more: '', filters: 'StripPrefix=2', listen: 'h2c: true', routes: '' },
};

/** A model behind a route whose path has nothing in common with its id. */
export async function startModel(t: TestContext, traits: ModelTraits = {}) {
  const { route, said, status, prototype, more, filters, listen, routes, held } = { ...USUAL, ...traits };
  const upstream = await startUpstream(t, (socket, request) => {
    const isPrototype = request.head.startsWith('GET /prototype ');
    const code = isPrototype && prototype === null ? 404 : 200;
    const body = JSON.stringify(isPrototype ? prototype : said);
    const send = answer(body, { fields: 'Content-Type: application/json\r\n', status: isPrototype ? code : status });
    const wait = request.head.startsWith('POST ') ? held() : undefined;
    if (wait === undefined) send(socket, request);
    else void wait.then(() => send(socket, request));
  });
  const gateway = await startGateway(t, {
    services: { cars: [upstream.origin] },
    listen,
    more: `inference: {}\n${more}`,
    env: { PENSTOCK_JWT_SECRET: SECRET },
    routes: `
services: { cars: { health: { interval: 1h }, outlier: { failures: 1000 } } }
routes:
  - { id: fuel, uri: lb://cars, predicates: ['Path=/api/cars/**', 'Method=POST'], filters: [${filters}], ${route} }
  - { id: off, uri: lb://cars, predicates: ['Path=/off/**', 'Header=X-Team, a'], filters: ['StripPrefix=1'] }
  - { id: live, uri: lb://cars, predicates: ['Path=/live/**'], stream: true }
  - { id: open, uri: lb://cars, predicates: ['Path=/x/{y}/z'] }
${routes}`,
  });
  /** What R was asked, but for the gateway's own questions. */
  const requested = () => upstream.requests.filter(({ head }) => !head.startsWith('GET /prototype '));
  const infer = (body: unknown, headers = {}) => gateway.call('/v2/models/fuel/infer', post(body, headers));
  /** A method of gRPC, by Connect's JSON. */
  const rpc = (method: string, message: unknown, headers = {}) =>
    gateway.call(`/${INFERENCE_SERVICE}/${method}`, post(message, headers));
  return { gateway, requested, infer, rpc };
}
