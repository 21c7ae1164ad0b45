// The functions of a deployment: one construct for each that `deployment.json` lists.
import type * as lambda from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import type { FunctionName } from "../deployment.ts";
import { CountFunction } from "./count.ts";
import type { FunctionProps } from "./function.ts";
import { IngestFunction } from "./ingest.ts";
import { PolicyFunction } from "./policy.ts";
import { PriceFunction } from "./price.ts";
import { QuoteFunction } from "./quote.ts";
import { RecoverFunction } from "./recover.ts";
import { SurgeFunction } from "./surge.ts";

export class Functions extends Construct {
  readonly byName: Record<FunctionName, lambda.Function>;

  constructor(scope: Construct, id: string, props: FunctionProps) {
    super(scope, id);
    this.byName = {
      ingest: new IngestFunction(this, props),
      count: new CountFunction(this, props),
      surge: new SurgeFunction(this, props),
      price: new PriceFunction(this, props),
      policy: new PolicyFunction(this, props),
      quote: new QuoteFunction(this, props),
      recover: new RecoverFunction(this, props),
    };
  }
}
