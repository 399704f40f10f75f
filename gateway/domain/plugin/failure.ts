import { GatewayError } from '../errors.ts';

/** A plug-in threw, never settled, or returned rubbish: it costs its own call a 500, and no other. */
export class PluginFailure extends GatewayError {
  /** The name of its predicate, filter or middleware. */
  readonly plugin: string;

  constructor(plugin: string, message: string, cause?: unknown) {
    super('PLUGIN_FAILED', `${plugin}: ${message}`, {
      cause,
      detail: `The plug-in ${plugin} of this gateway failed.`,
    });
    this.plugin = plugin;
  }
}
