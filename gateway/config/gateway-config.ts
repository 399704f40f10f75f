import type { z } from 'zod';
import type { ApiKey } from '../domain/admission/api-key.ts';
import type { GatewayFile } from './schema/gateway.ts';
import { REDACTED } from './secret.ts';

type Parsed = z.output<typeof GatewayFile>;
type ParsedIdentity = NonNullable<Parsed['identity']>;
type ParsedIssuer = NonNullable<ParsedIdentity['jwt']>[number];

/** The Consul agent, and how it is used; paths are absolute. */
export type ConsulConfig = Readonly<NonNullable<Parsed['discovery']['consul']>>;

/** One issuer of tokens: a secret, the PEM text of public keys, or where its keys are to be had. */
export type IssuerConfig = Readonly<Omit<ParsedIssuer, 'publicKey'>> & {
  readonly publicKey: string | undefined;
};

/** Whose credentials are believed. */
export interface IdentityConfig {
  readonly jwt: readonly IssuerConfig[];
  readonly tokenBytesMax: number;
  /** The keys as they are in the file now; its path is absolute. */
  readonly apiKeys: (NonNullable<ParsedIdentity['apiKeys']> & { readonly keys: readonly ApiKey[] }) | undefined;
  readonly introspection: NonNullable<ParsedIdentity['introspection']>;
  readonly guessing: ParsedIdentity['guessing'];
  readonly mtls: ParsedIdentity['mtls'];
  /** `ca` is the text of the file. */
  readonly ldap: ParsedIdentity['ldap'];
}

/**
 * gateway.yaml, understood: milliseconds and bytes, absolute paths, no default missing. Secrets are wrapped: code that
 * prints it prints `[redacted]`.
 */
export type GatewayConfig = Readonly<Omit<Parsed, 'identity'>> & {
  readonly identity: IdentityConfig | undefined;
};

/** The configuration as operators may see it: `GET /api/config`. Digests of tokens are left out as well. */
export function redactedGateway(config: GatewayConfig): unknown {
  return JSON.parse(JSON.stringify(config, (key, value: unknown) => (key === 'sha256' ? REDACTED : value))) as unknown;
}
