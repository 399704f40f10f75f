import type { Call, Matched } from '../domain/call.ts';
import type { Clock } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import { OwnRpc, type MessageWait, type OwnRpcs } from '../domain/grpc/own-rpc.ts';
import { isPreflight } from '../domain/http/cors.ts';
import {
  inferenceTargetOf,
  wayInto,
  type InferenceTarget,
  type ServerTarget,
} from '../domain/inference/inference-target.ts';
import { type InferencePorts, InferenceTranscoder, noModel } from '../domain/inference/inference-transcoder.ts';
import { jsonAnswer, RestForm } from '../domain/inference/rest-form.ts';
import { RpcForm, rpcTargetOf } from '../domain/inference/rpc-form.ts';
import type { Route } from '../domain/route.ts';
import type { Answer } from '../domain/upstream.ts';
import type { Match } from './match.ts';

interface Ports extends InferencePorts {
  /** Under which path the protocol is spoken over REST. */
  readonly path: string;
  /** Calls of its methods of gRPC; undefined: it is not spoken over gRPC. */
  readonly rpcs?: OwnRpcs | undefined;
  /** Finds the route of every other call. */
  readonly match: Match;
  /** Those of the current generation. */
  readonly routes: () => readonly Route[];
  /** Whether the gateway as a whole is ready. */
  readonly isServerReady: () => boolean;
  readonly version: string;
  readonly clock: Clock;
}

/** The door of the Open Inference Protocol. */
export interface Inference {
  /** Finds the route that a model is named by; for other paths as `match` does. */
  readonly match: Match;
  /** What is asked of the server itself, or the wait for the message in which that stands; undefined: this is not. */
  readonly ownAnswer: (call: Call) => Answer | MessageWait | undefined;
}

/**
 * Models by the Open Inference Protocol v2: each is a route, by its id, whose rules hold as if its own path had been
 * called. The call goes on under that path, so that what R is sent equals what REST sends.
 */
export function createInference(ports: Ports): Inference {
  const { path: base, rpcs, match, routes, isServerReady, version, clock } = ports;

  function ownAnswer(call: Call): Answer | MessageWait | undefined {
    if (call.transcoder instanceof InferenceTranscoder) return undefined; // entered anew, after a wait
    const rpc = rpcs?.entered(call);
    if (rpc !== undefined) return rpc instanceof OwnRpc ? answerRpc(call, rpc) : rpc;
    const target = inferenceTargetOf(call.path, base);
    if (target === undefined || 'model' in target) return undefined;
    call.transcoder = new InferenceTranscoder(target, new RestForm(call), ports);
    if (call.method !== 'GET') throw wrongMethod('GET');
    return answerRest(target.kind);
  }

  function answerRest(kind: ServerTarget['kind']): Answer {
    if (kind === 'server') return jsonAnswer(200, serverMetadata(version));
    const is = kind === 'live' || isServerReady();
    return jsonAnswer(is ? 200 : 503, { [kind]: is });
  }

  function answerRpc(call: Call, rpc: OwnRpc): Answer | undefined {
    const target = rpcTargetOf(rpc);
    if (target === undefined) return undefined;
    if (!('model' in target)) {
      if (target.kind === 'server') return rpc.reply(serverMetadata(version));
      return rpc.reply({ [target.kind]: target.kind === 'live' || isServerReady() });
    }
    call.transcoder = new InferenceTranscoder(target, new RpcForm(rpc), ports);
    call.method = methodOf(target);
    return undefined;
  }

  return {
    ownAnswer,
    match(call) {
      const known = call.transcoder instanceof InferenceTranscoder ? call.transcoder : undefined;
      const target = known?.target ?? inferenceTargetOf(call.path, base);
      if (target === undefined || !('model' in target)) return match(call);
      const transcoder = known ?? new InferenceTranscoder(target, new RestForm(call), ports);
      call.transcoder = transcoder;
      call.wallMs = clock.wallMs();
      const route = byIdOf(routes()).get(target.model);
      if (route === undefined || !isForCalls(route)) throw noModel();
      return go(call, route, transcoder);
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

function go(call: Call, route: Route, { target, form }: InferenceTranscoder): Matched {
  call.isPreflight = route.policy.cors !== undefined && call.method === 'OPTIONS' && isPreflight(call.fields);
  const method = methodOf(target);
  if (call.method !== method && !call.isPreflight) throw wrongMethod(method);
  const { fields, host, peerAddress, callerAddress, wallMs } = call;
  const way = wayInto(route, { method, path: '', query: '', fields, host, peerAddress, callerAddress, wallMs });
  if (way === undefined) throw noModel();
  call.goesOnAt(way.path);
  call.arm(Math.min(route.policy.timeoutMs, form.timeoutMs));
  return call.matched(route, way.variables);
}

function methodOf({ kind }: InferenceTarget): 'GET' | 'POST' {
  return kind === 'infer' ? 'POST' : 'GET';
}

function serverMetadata(version: string) {
  return { name: 'penstock', version, extensions: ['binary_tensor_data'] };
}

function wrongMethod(allow: string): GatewayError {
  return new GatewayError('METHOD_NOT_ALLOWED', `asked for by another method than ${allow}`, {
    detail: `This is asked for by ${allow}.`,
    fields: ['Allow', allow],
  });
}
