// One deployment: its storage, functions and HTTP API.
import { CfnOutput, Stack, type StackProps } from "aws-cdk-lib";
import type { Construct } from "constructs";
import type { AccessProps } from "./access.ts";
import { Api } from "./api.ts";
import { deployment as list } from "./deployment.ts";
import { Functions } from "./functions/functions.ts";
import { Storage } from "./storage/storage.ts";

export interface EquilibriumProps extends StackProps {
  /** The prefix of all names. */
  deployment: string;
  /** Shards of the streams of events and counts. */
  shards: number;
  /** Lanes of the stream of events: fixed for the life of a deployment, and at least four times the greatest
   * number of shards it will have (CONTRACT §2). */
  lanes: number;
  /** Functions that receive their stream by enhanced fan-out: pushed after some 70 ms instead of polled once a second,
   * for a price per shard and byte. */
  fanOut?: string[];
  /** Directory with a subdirectory per function; without it the stack holds storage alone. */
  code?: string;
  /** Whose tokens clients need, and how often they may call. On an emulator every client is served, as often as it calls. */
  access?: AccessProps;
  /** Serves every client of an account, without tokens. */
  withoutTokens?: boolean;
  /** Endpoint of all AWS services on an emulator; absent on AWS. */
  endpoint?: string;
}

export class EquilibriumStack extends Stack {
  constructor(scope: Construct, id: string, props: EquilibriumProps) {
    super(scope, id, props);
    const { deployment, shards, lanes, fanOut = [], code, endpoint } = props;
    if (!Number.isInteger(Math.log2(lanes)) || lanes < 4 * shards) {
      throw new Error(`${lanes} lanes: must be a power of two and at least four times the ${shards} shards`);
    }
    const unmapped = fanOut.filter((name) => !Object.hasOwn(list.mappings, name));
    if (unmapped.length > 0) {
      throw new Error(`fanOut: no mapped function ${unmapped.join(", ")}`);
    }
    const access: AccessProps = endpoint ? { rateLimits: "off" } : (props.access ?? {});
    if (code && !endpoint && !access.issuer && !props.withoutTokens) {
      throw new Error("no issuer of tokens: give -c issuer=URL -c audience=NAME -c keys=URL, or serve all: -c auth=off");
    }
    const storage = new Storage(this, "storage", { deployment, shards });
    new CfnOutput(this, "CacheUrl", { value: storage.cacheUrl });
    if (code) {
      const functions = new Functions(this, "functions", {
        deployment,
        storage,
        code,
        lanes,
        fanOut,
        access,
        ...(endpoint ? { endpoint } : {}),
      });
      const api = new Api(this, "api", deployment, functions, access.issuer);
      new CfnOutput(this, "ApiId", { value: api.http.apiId });
    }
  }
}
