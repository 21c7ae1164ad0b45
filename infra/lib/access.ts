// Whose tokens a deployment takes, and how often clients may call.
import type { Environment } from "./functions/function.ts";

/** The issuer of clients' tokens. */
export interface Issuer {
  /** The `iss` of its tokens: a URL, under which the gateway finds its keys (OpenID Connect Discovery 1.0 §4). */
  issuer: string;
  /** The `aud` of its tokens. */
  audience: string;
  /** Where the functions find its keys: a URL, or a JWK Set for functions that cannot reach the issuer. */
  keys: string;
}

export interface AccessProps {
  /** Absent where every client is served. */
  issuer?: Issuer;
  /** `on`, `off`, or the rates as JSON; `on` if absent. */
  rateLimits?: string;
}

/** The variables of every function that answers requests. */
export function accessEnvironment({ issuer, rateLimits }: AccessProps): Environment {
  return {
    ...(issuer
      ? {
          EQUILIBRIUM_AUTH_ISSUER: issuer.issuer,
          EQUILIBRIUM_AUTH_AUDIENCE: issuer.audience,
          EQUILIBRIUM_AUTH_KEYS: issuer.keys,
        }
      : { EQUILIBRIUM_AUTH: "off" }),
    ...(rateLimits ? { EQUILIBRIUM_RATE_LIMITS: rateLimits } : {}),
  };
}
