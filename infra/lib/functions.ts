// The functions, what each may touch, and what invokes it.
import { Duration } from "aws-cdk-lib";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { KinesisEventSource, SqsDlq } from "aws-cdk-lib/aws-lambda-event-sources";
import { Construct } from "constructs";
import { join } from "node:path";
import { names } from "./names.ts";
import type { Storage } from "./storage.ts";

export interface FunctionsProps {
  deployment: string;
  storage: Storage;
  /** The folder with a folder for each function: its program on an emulator, as `make up` builds it, its
   * `bootstrap.zip` on AWS, as `make package` does. */
  code: string;
  /** Lanes of the stream, which never change. */
  lanes: number;
  /** Where all services are, if not on AWS. */
  endpoint?: string;
}

export class Functions extends Construct {
  readonly ingest: lambda.Function;
  readonly count: lambda.Function;
  readonly surge: lambda.Function;
  readonly price: lambda.Function;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const { storage } = props;
    const { checkpoints, maps, policies } = storage.tables;
    const { events, counts, changes } = storage.streams;
    const letters = storage.queues["dead-letters"];
    if (!checkpoints || !maps || !policies || !events || !counts || !changes || !letters) {
      throw new Error("names.json lacks a table, a stream or a queue that the functions need");
    }
    const { variables } = names;
    const environment = {
      [variables.deployment]: props.deployment,
      [variables.lanes]: String(props.lanes),
      // On AWS the package brings the few roots that it needs: reading a system's takes longer than starting.
      ...(props.endpoint
        ? { AWS_ENDPOINT_URL: props.endpoint }
        : { SSL_CERT_FILE: "/var/task/amazon-roots.pem" }),
    };
    const cache = { [variables.cacheUrls]: storage.cacheUrl };
    const make = (name: string, timeout: Duration, more: Record<string, string>) =>
      new lambda.Function(this, name, {
        functionName: `${props.deployment}-${name}`,
        runtime: lambda.Runtime.PROVIDED_AL2023,
        handler: "bootstrap",
        architecture: props.endpoint ? lambda.Architecture.X86_64 : lambda.Architecture.ARM_64,
        code: lambda.Code.fromAsset(
          props.endpoint ? join(props.code, name) : join(props.code, name, "bootstrap.zip"),
        ),
        // A whole core (AWS Lambda developer guide, "Configure Lambda function memory").
        memorySize: 1769,
        timeout,
        environment: { ...environment, ...more },
      });

    this.ingest = make("ingest", Duration.seconds(30), {});
    events.grantWrite(this.ingest);
    policies.grantReadData(this.ingest);

    this.count = make("count", Duration.seconds(60), { [variables.deadLettersUrl]: letters.queueUrl });
    checkpoints.grantReadWriteData(this.count);
    policies.grantReadData(this.count);
    counts.grantWrite(this.count);
    letters.grantSendMessages(this.count);

    this.surge = make("surge", Duration.seconds(60), cache);
    checkpoints.grantReadWriteData(this.surge);
    policies.grantReadData(this.surge);
    maps.grantReadWriteData(this.surge);
    changes.grantWrite(this.surge);

    this.price = make("price", Duration.seconds(10), cache);
    policies.grantReadData(this.price);
    maps.grantReadData(this.price);

    for (const [name, target] of [["count", this.count], ["surge", this.surge]] as const) {
      const mapping = names.mappings[name];
      const stream = mapping && storage.streams[mapping.stream];
      const discarded = mapping && storage.queues[mapping.onFailure];
      if (!mapping || !stream || !discarded) {
        throw new Error(`names.json lacks how ${name} reads its stream`);
      }
      target.addEventSource(
        new KinesisEventSource(stream, {
          startingPosition: lambda.StartingPosition.TRIM_HORIZON,
          batchSize: mapping.batchSize,
          maxBatchingWindow: Duration.seconds(mapping.batchingWindowSeconds),
          bisectBatchOnError: mapping.bisectOnError,
          reportBatchItemFailures: mapping.reportBatchItemFailures,
          maxRecordAge: Duration.seconds(mapping.maximumRecordAgeSeconds),
          // Order within a lane is what skipping repeated records rests on.
          parallelizationFactor: 1,
          onFailure: new SqsDlq(discarded),
          // An emulator only polls; `equilibrium run-sources` does there what Lambda does here.
          enabled: !props.endpoint,
        }),
      );
    }
  }
}
