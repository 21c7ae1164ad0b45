// One deployment: its storage, functions and API.
import { CfnOutput, Stack, type StackProps } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Api } from "./api.ts";
import { Functions } from "./functions.ts";
import { Storage } from "./storage.ts";

export interface EquilibriumProps extends StackProps {
  /** What all names begin with. */
  deployment: string;
  /** Shards of the events' and the counts' streams. */
  shards: number;
  /** Lanes of the events' stream, which never change: at least four times the most shards (CONTRACT §2). */
  lanes: number;
  /** The folder with a folder for each function; without, there is storage alone. */
  code?: string;
  /** Where all services are, if not on AWS. */
  endpoint?: string;
}

export class EquilibriumStack extends Stack {
  constructor(scope: Construct, id: string, props: EquilibriumProps) {
    super(scope, id, props);
    const { deployment, shards, lanes, code, endpoint } = props;
    if (!Number.isInteger(Math.log2(lanes)) || lanes < 4 * shards) {
      throw new Error(`${lanes} lanes: not a power of two, or fewer than four times ${shards} shards`);
    }
    const storage = new Storage(this, "storage", props);
    new CfnOutput(this, "CacheUrl", { value: storage.cacheUrl });
    if (code) {
      const functions = new Functions(this, "functions", {
        deployment,
        storage,
        code,
        lanes,
        ...(endpoint ? { endpoint } : {}),
      });
      const api = new Api(this, "api", deployment, functions);
      new CfnOutput(this, "ApiId", { value: api.http.apiId });
    }
  }
}
