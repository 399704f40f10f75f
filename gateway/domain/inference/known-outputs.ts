import type { Route } from '../route.ts';
import type { Tensor, TensorView } from './tensor.ts';

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
