import type { Call, Matched } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { isPreflight } from '../domain/http/cors.ts';
import { inferenceTargetOf, wayInto, type InferenceTarget } from '../domain/inference/inference-target.ts';
import {
  type InferencePorts,
  InferenceTranscoder,
  jsonAnswer,
  noModel,
} from '../domain/inference/inference-transcoder.ts';
import type { Route } from '../domain/route.ts';
import type { Answer } from '../domain/upstream.ts';
import type { Match } from './match.ts';

interface Ports extends InferencePorts {
  /** Under which path the protocol is spoken. */
  readonly path: string;
  /** Finds the route of every other call. */
  readonly match: Match;
  /** Those of the current generation. */
  readonly routes: () => readonly Route[];
  /** Whether the gateway as a whole is ready. */
  readonly isServerReady: () => boolean;
  readonly version: string;
  readonly clock: Clock;
}

/** The door of the Open Inference Protocol over REST. */
export interface Inference {
  /** Finds the route that a model is named by; for other paths as `match` does. */
  readonly match: Match;
  /** What is asked of the server itself; undefined: this is not. */
  readonly ownAnswer: (call: Call) => Answer | undefined;
}

/**
 * Models by the Open Inference Protocol v2: each is a route, by its id, whose rules hold as if its own path had been
 * called. The call goes on under that path, so that what R is sent equals what REST sends.
 */
export function createInference(ports: Ports): Inference {
  const { path: base, match, routes, isServerReady, version, clock } = ports;

  function ownAnswer(call: Call): Answer | undefined {
    const target = inferenceTargetOf(call.path, base);
    if (target === undefined || 'model' in target) return undefined;
    call.transcoder = new InferenceTranscoder(target, call, ports);
    if (call.method !== 'GET') throw wrongMethod('GET');
    switch (target.kind) {
      case 'server':
        return jsonAnswer(200, { name: 'penstock', version, extensions: ['binary_tensor_data'] });
      case 'live':
        return jsonAnswer(200, { live: true });
      case 'ready': {
        const ready = isServerReady();
        return jsonAnswer(ready ? 200 : 503, { ready });
      }
    }
  }

  return {
    ownAnswer,
    match(call) {
      const target = inferenceTargetOf(call.path, base);
      if (target === undefined || !('model' in target)) return match(call);
      call.transcoder = new InferenceTranscoder(target, call, ports);
      call.wallMs = clock.wallMs();
      const route = byIdOf(routes()).get(target.model);
      if (route === undefined || !isForCalls(route)) throw noModel();
      return go(call, route, target);
    },
  };
}

const known = new WeakMap<readonly Route[], ReadonlyMap<string, Route>>();

/** A generation's routes by their ids. */
function byIdOf(routes: readonly Route[]): ReadonlyMap<string, Route> {
  const byId = known.get(routes) ?? new Map(routes.map(route => [route.id, route]));
  known.set(routes, byId);
  return byId;
}

/** Streams are not predictions, and where a filter answers there is no model. */
function isForCalls({ policy, filters }: Route): boolean {
  return !policy.isStream && !filters.some(({ onBehalf, mayPass }) => onBehalf !== undefined && mayPass !== true);
}

function go(call: Call, route: Route, { kind }: InferenceTarget): Matched {
  call.isPreflight = route.policy.cors !== undefined && call.method === 'OPTIONS' && isPreflight(call.fields);
  const method = kind === 'infer' ? 'POST' : 'GET';
  if (call.method !== method && !call.isPreflight) throw wrongMethod(method);
  const { fields, host, peerAddress, callerAddress, wallMs } = call;
  const way = wayInto(route, { method, path: '', query: '', fields, host, peerAddress, callerAddress, wallMs });
  if (way === undefined) throw noModel();
  call.goesOnAt(way.path);
  call.arm(route.policy.timeoutMs);
  return call.matched(route, way.variables);
}

function wrongMethod(allow: string): GatewayError {
  return new GatewayError('METHOD_NOT_ALLOWED', `asked for by another method than ${allow}`, {
    detail: `This is asked for by ${allow}.`,
    fields: ['Allow', allow],
  });
}
