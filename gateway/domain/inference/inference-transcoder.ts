import type { Call, Complete, Transcoder } from '../call.ts';
import { GatewayError } from '../errors.ts';
import { upstreamResourceOf } from '../http/upstream-request.ts';
import type { Route } from '../route.ts';
import type { ColumnsFor } from '../table/csv-transcoder.ts';
import { dropBody, type Answer } from '../upstream.ts';
import type { Service } from '../service.ts';
import type { Column } from '../validation/prototype.ts';
import type { InferenceForm, InferRequest } from './form.ts';
import type { InferenceTarget, ModelTarget } from './inference-target.ts';
import { chooseOutputs, refuseRepeats, rowsOfTensors, tensorsOfAnswer } from './rows.ts';
import { inputsOf, type Tensor, type TensorView } from './tensor.ts';

const NONE: readonly TensorView[] = [];

/** What models' answers look like, as they were seen: a service does not publish it. */
export class KnownOutputs {
  /** A generation's own routes. */
  readonly #known = new WeakMap<Route, { readonly versions: string; readonly outputs: readonly TensorView[] }>();

  /** A model has answered so. */
  record(route: Route, tensors: readonly Tensor[]): void {
    const { versions } = route.service;
    if (this.#known.get(route)?.versions === versions) return;
    const outputs = tensors.map(({ name, datatype }) => ({ name, datatype, shape: [-1] }));
    this.#known.set(route, { versions, outputs });
  }

  /** Empty: the versions that run now have not answered yet. */
  of(route: Route): readonly TensorView[] {
    const known = this.#known.get(route);
    return known?.versions === route.service.versions ? known.outputs : NONE;
  }
}

/** What an inference call asks the gateway. */
export interface InferencePorts {
  readonly columnsFor: ColumnsFor;
  readonly outputs: KnownOutputs;
  /** Whether the route's service has an instance in rotation. */
  readonly isReady: (route: Route) => boolean;
}

/**
 * Serves one call of the Open Inference Protocol v2 (github.com/kserve/open-inference-protocol): a prediction, or what is
 * asked about a model, in the form in which it was asked.
 */
export class InferenceTranscoder implements Transcoder {
  readonly protocol: string;
  readonly originalMethod: string;
  readonly originalPath: string;
  readonly target: InferenceTarget;
  readonly keepsStatus: boolean;
  readonly form: InferenceForm;
  readonly #ports: InferencePorts;
  #request: InferRequest | undefined = undefined;

  constructor(target: InferenceTarget, form: InferenceForm, ports: InferencePorts) {
    this.target = target;
    this.protocol = form.protocol;
    this.originalMethod = form.originalMethod;
    this.originalPath = form.originalPath;
    this.keepsStatus = form.keepsStatus;
    this.form = form;
    this.#ports = ports;
  }

  request(call: Complete, next: (call: Complete) => void): void {
    const { target } = this;
    if (!('model' in target)) return; // of the server: answered before
    refuseVersion(target, call.route);
    if (target.kind === 'infer') {
      this.#request = this.form.read(call);
      refuseRepeats(this.#request.outputs);
    }
    const columns = this.#ports.columnsFor(call.route, upstreamResourceOf(call).path);
    if (!(columns instanceof Promise)) this.#known(call, columns, next);
    else call.awaits(columns, found => this.#known(call, found, next));
  }

  #known(call: Complete, columns: readonly Column[] | undefined, next: (call: Complete) => void): void {
    if (columns === undefined) throw noColumns(call.route);
    if (this.#request === undefined) call.answered(this.#about(call.route, columns));
    else {
      this.#takeTensors(call, this.#request, columns);
      next(call);
    }
  }

  #takeTensors(call: Complete, { inputs }: InferRequest, columns: readonly Column[]): void {
    const { validate, sharing, bodyBytesMax } = call.route.policy;
    call.content = rowsOfTensors(inputs, {
      columns,
      form: validate?.form ?? sharing?.batch?.rows ?? 'array',
      rowsMax: validate?.rowsMax ?? Infinity,
      bytesMax: bodyBytesMax,
    });
    const fields = this.form.fieldsFrom(call.fields);
    fields.push('Content-Type', 'application/json');
    call.fields = fields;
  }

  /** What the gateway itself knows of the model. */
  #about(route: Route, columns: readonly Column[]): Answer {
    const { id, service } = route;
    if (this.target.kind === 'model-ready') return this.form.ready(id, this.#ports.isReady(route));
    return this.form.metadata({
      name: id,
      versions: versionsOf(service.versions),
      platform: platformOf(service),
      inputs: inputsOf(columns),
      outputs: this.#ports.outputs.of(route),
    });
  }

  answer({ route }: Call, answer: Answer): Answer {
    const { status, body, via } = answer;
    const request = this.#request;
    if (request === undefined || route === undefined) return answer; // it is the gateway's own
    if (!Buffer.isBuffer(body)) {
      dropBody(answer);
      throw noTable('is larger than `answer.bufferMax`');
    }
    if (status >= 400) return this.form.refused(answer);
    if (status !== 200) throw noTable(`has the status ${status}`);
    const tensors = tensorsOfAnswer(body.toString('utf8'));
    this.#ports.outputs.record(route, tensors);
    const version = via?.version ?? onlyOf(versionsOf(route.service.versions));
    const chosen = request.outputs === undefined ? tensors : chooseOutputs(tensors, request.outputs);
    return this.form.answered(answer, { model: route.id, version, tensors: chosen }, request);
  }

  failure(call: Call, failure: GatewayError): Answer {
    return this.form.failure(call, failure);
  }
}

function versionsOf(versions: string): string[] {
  return versions === '' ? [] : versions.split(',');
}

/** Project and format, as the protocol names platforms. */
function platformOf(service: Service): string {
  const address = service.view().instances[0]?.address ?? '';
  if (address.startsWith('onnx:')) return 'onnx_onnxv1';
  if (address.startsWith('script:')) return 'r_script';
  return address.startsWith('rserve') ? 'r_rserve' : 'r_plumber';
}

function onlyOf(versions: readonly string[]): string | undefined {
  return versions.length === 1 ? versions[0] : undefined;
}

/** One version is promised only where all instances run it. */
function refuseVersion({ version }: ModelTarget, { id, service }: Route): void {
  if (version === undefined || version === service.versions) return;
  const running = versionsOf(service.versions).join(' and ');
  const detail = running === '' ? `Model ${id} has no version.` : `Model ${id} runs as ${running}.`;
  throw new GatewayError('NO_ROUTE', `model ${id} does not run in the version asked for`, { detail });
}

/** The refusal of a model that is none, or not to be had by this door. */
export function noModel(): GatewayError {
  return new GatewayError('NO_ROUTE', 'no such model', { detail: 'No model of this name is published here.' });
}

function noColumns({ id }: Route): GatewayError {
  return new GatewayError('NO_ROUTE', `the service of route ${id} publishes no columns`, {
    detail: `What ${id} takes is not known: its service publishes no columns at /prototype.`,
  });
}

function noTable(why: string): GatewayError {
  const detail = `The model’s answer ${why}, and cannot be told as tensors.`;
  return new GatewayError('UPSTREAM_FAULT', 'the answer is no table', { detail });
}
