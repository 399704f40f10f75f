import type { Call, Complete, Transcoder } from '../call.ts';
import { toGatewayError, type FailureCode } from '../errors.ts';
import { OwnRpc, type OwnMessages } from '../grpc/own-rpc.ts';
import { connectSpeech } from '../grpc/speech.ts';
import { upstreamResourceOf } from '../http/upstream-request.ts';
import type { InferenceForm } from '../inference/form.ts';
import type { ModelTarget } from '../inference/inference-target.ts';
import { InferenceTranscoder, KnownOutputs } from '../inference/inference-transcoder.ts';
import { RestForm } from '../inference/rest-form.ts';
import { RpcForm, rpcTargetOf } from '../inference/rpc-form.ts';
import { CsvTranscoder } from '../table/csv-transcoder.ts';
import type { Column } from '../validation/prototype.ts';

/** The door of the Open Inference Protocol. */
export interface InferenceDoor {
  readonly path: string;
  /** What a service is known to publish; undefined: nothing is known. */
  readonly columnsOf?: (routeId: string, path: string) => readonly Column[] | undefined;
  /** How messages to its methods of gRPC are read, by their paths; undefined: it is not spoken over gRPC. */
  readonly methods?: ReadonlyMap<string, OwnMessages> | undefined;
}

/** What a call that speaks another form than JSON over REST asks for. */
export interface Speaking {
  /** By the Open Inference Protocol; undefined: a method that a route's `.proto` declares. */
  readonly target: ModelTarget | undefined;
  readonly form: InferenceForm | undefined;
  readonly transcoder: Transcoder | undefined;
}

/** How a call goes on whose caller speaks another form than JSON. */
export interface Transcoded {
  readonly form: string;
  /** The JSON that its body becomes; empty where it is refused. */
  readonly body: string;
  readonly refusal: { readonly code: FailureCode; readonly status: number; readonly detail: string } | null;
}

const NOTHING = () => undefined;

/**
 * What becomes of a body in another form than JSON; null: it is JSON. Of CSV what the service publishes of its columns is
 * not asked for: values are typed as they read.
 */
export function transcodedOf(
  call: Complete,
  speaking: Speaking | undefined,
  door: InferenceDoor | undefined,
): Transcoded | null {
  if (speaking?.target !== undefined) return inferenceOf(call, speaking, door);
  if (speaking?.transcoder !== undefined) return transcodedBy(speaking.transcoder, 'gRPC', call);
  if (!call.route.policy.csv) return null;
  const came = call.content;
  const transcoded = transcodedBy(new CsvTranscoder(NOTHING, call), 'text/csv', call);
  return call.content === came && transcoded.refusal === null ? null : transcoded;
}

function transcodedBy(transcoder: Transcoder, form: string, call: Complete): Transcoded {
  try {
    transcoder.request(call, NOTHING);
    return { form, body: call.content.toString('utf8'), refusal: null };
  } catch (error) {
    const { code, status, detail } = toGatewayError(error);
    return { form, body: '', refusal: { code, status, detail } };
  }
}

/** Which columns a tensor is of is known where the service has published them. */
function inferenceOf(call: Complete, { target, form }: Speaking, door: InferenceDoor | undefined): Transcoded {
  const name = 'Open Inference Protocol v2';
  const columns = door?.columnsOf?.(call.route.id, upstreamResourceOf(call).path);
  if (columns === undefined || target === undefined) return { form: name, body: '', refusal: null };
  const ports = { columnsFor: () => columns, outputs: new KnownOutputs(), isReady: () => true };
  const spoken = form ?? new RestForm(call);
  return transcodedBy(new InferenceTranscoder({ ...target, version: undefined }, spoken, ports), name, call);
}

/** A call of a method of the Open Inference Protocol; undefined: it is none that a model is asked by. Throws BAD_REQUEST. */
export function speakingInference(
  call: Call,
  body: string,
  door: InferenceDoor,
): (Speaking & { target: ModelTarget }) | undefined {
  const messages = door.methods?.get(call.path);
  if (messages === undefined) return undefined;
  const rpc = new OwnRpc(call, connectSpeech('json'), { path: call.path, messages, bounds: () => NO_BOUNDS });
  rpc.understand(Buffer.from(body));
  const target = rpcTargetOf(rpc);
  if (target === undefined || !('model' in target)) return undefined;
  return { target, form: new RpcForm(rpc), transcoder: undefined };
}

const NO_BOUNDS = { bytesMax: Infinity, timeoutMs: Infinity };
