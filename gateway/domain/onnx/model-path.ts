import { GatewayError } from '../errors.ts';
import type { UpstreamMessage } from '../upstream.ts';

/** What a call wants of a model, by vetiver's paths. */
export type ModelPath = 'predict' | 'prototype' | 'metadata' | 'ping';

const METHODS: Readonly<Record<ModelPath, string>> = {
  predict: 'POST',
  prototype: 'GET',
  metadata: 'GET',
  ping: 'GET',
};

/** By the last part of the path; or how the call is refused. */
export function modelPathOf({ method, target }: Pick<UpstreamMessage, 'method' | 'target'>): ModelPath | GatewayError {
  const [path = ''] = target.split('?', 1);
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (!isModelPath(name)) {
    const detail = 'The service has no such path: it has /predict, /prototype, /metadata and /ping.';
    return new GatewayError('NO_ROUTE', 'no path of a model', { detail });
  }
  const allowed = METHODS[name];
  if (method === allowed || (method === 'HEAD' && allowed === 'GET')) return name;
  const detail = `The service has this path, but for ${allowed}.`;
  return new GatewayError('METHOD_NOT_ALLOWED', detail, { detail, fields: ['Allow', allowed] });
}

function isModelPath(name: string): name is ModelPath {
  return Object.hasOwn(METHODS, name);
}
