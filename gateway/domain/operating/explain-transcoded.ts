import type { Complete } from '../call.ts';
import { toGatewayError, type FailureCode } from '../errors.ts';
import { upstreamResourceOf } from '../http/upstream-request.ts';
import type { ModelTarget } from '../inference/inference-target.ts';
import { InferenceTranscoder } from '../inference/inference-transcoder.ts';
import { KnownOutputs } from '../inference/known-outputs.ts';
import { RestForm } from '../inference/rest-form.ts';
import { CsvTranscoder } from '../table/csv-transcoder.ts';
import type { Column } from '../validation/prototype.ts';

/** The door of the Open Inference Protocol. */
export interface InferenceDoor {
  readonly path: string;
  /** What a service is known to publish; undefined: nothing is known. */
  readonly columnsOf?: (routeId: string, path: string) => readonly Column[] | undefined;
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
  target: ModelTarget | undefined,
  door: InferenceDoor | undefined,
): Transcoded | null {
  if (target !== undefined) return inferenceOf(call, target, door);
  if (!call.route.policy.csv) return null;
  const came = call.content;
  try {
    new CsvTranscoder(NOTHING, call).request(call, NOTHING);
    return call.content === came ? null : { form: 'text/csv', body: call.content.toString('utf8'), refusal: null };
  } catch (error) {
    const { code, status, detail } = toGatewayError(error);
    return { form: 'text/csv', body: '', refusal: { code, status, detail } };
  }
}

/** Which columns a tensor is of is known where the service has published them. */
function inferenceOf(call: Complete, target: ModelTarget, door: InferenceDoor | undefined): Transcoded {
  const form = 'Open Inference Protocol v2';
  const columns = door?.columnsOf?.(call.route.id, upstreamResourceOf(call).path);
  if (columns === undefined) return { form, body: '', refusal: null };
  const ports = { columnsFor: () => columns, outputs: new KnownOutputs(), isReady: () => true };
  try {
    new InferenceTranscoder({ ...target, version: undefined }, new RestForm(call), ports).request(call, NOTHING);
    return { form, body: call.content.toString('utf8'), refusal: null };
  } catch (error) {
    const { code, status, detail } = toGatewayError(error);
    return { form, body: '', refusal: { code, status, detail } };
  }
}
