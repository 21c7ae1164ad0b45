// What all functions have in common: program, size, shared environment, and how one reads a stream.
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { StreamConsumer } from "aws-cdk-lib/aws-kinesis";
import * as lambda from "aws-cdk-lib/aws-lambda";
import {
  KinesisConsumerEventSource,
  KinesisEventSource,
  type KinesisEventSourceProps,
  SqsDlq,
} from "aws-cdk-lib/aws-lambda-event-sources";
import * as logs from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AccessProps } from "../access.ts";
import { deployment, type FunctionName, type MappedFunctionName, type VariableName } from "../deployment.ts";
import type { Storage } from "../storage/storage.ts";

export interface FunctionProps {
  /** The prefix of all names. */
  deployment: string;
  storage: Storage;
  /** Directory with a subdirectory per function. `make up` builds `bootstrap` into it, which an emulator runs;
   * `make package` builds `bootstrap.zip`, which AWS runs. */
  code: string;
  /** Lanes of the stream of events; fixed for the life of a deployment. */
  lanes: number;
  /** Functions that receive their stream by enhanced fan-out. */
  fanOut: string[];
  /** Clients of the functions that answer requests. */
  access: AccessProps;
  /** Endpoint of all AWS services on an emulator; absent on AWS. */
  endpoint?: string;
}

export type Environment = Partial<Record<VariableName, string>>;

export abstract class EquilibriumFunction extends lambda.Function {
  constructor(scope: Construct, name: FunctionName, props: FunctionProps, environment: Environment) {
    const { timeoutSeconds, memoryMb } = deployment.functions[name];
    const { code, endpoint } = props;
    const shared: Environment = {
      EQUILIBRIUM_DEPLOYMENT: props.deployment,
      EQUILIBRIUM_LANES: String(props.lanes),
    };
    super(scope, name, {
      functionName: `${props.deployment}-${name}`,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: "bootstrap",
      architecture: endpoint ? lambda.Architecture.X86_64 : packagedArchitecture(code),
      code: lambda.Code.fromAsset(endpoint ? join(code, name) : join(code, name, "bootstrap.zip")),
      memorySize: memoryMb,
      timeout: Duration.seconds(timeoutSeconds),
      // The functions write what they report themselves; three lines of Lambda's for each request would cost more than
      // the request.
      loggingFormat: lambda.LoggingFormat.JSON,
      systemLogLevelV2: lambda.SystemLogLevel.WARN,
      logGroup: new logs.LogGroup(scope, `${name}-log`, {
        logGroupName: `/aws/lambda/${props.deployment}-${name}`,
        retention: logs.RetentionDays.TWO_WEEKS,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
      environment: {
        ...shared,
        // The package brings the root certificates of Amazon alone: reading a system's whole bundle would take
        // longer than the rest of a cold start.
        ...(endpoint ? { AWS_ENDPOINT_URL: endpoint } : { SSL_CERT_FILE: "/var/task/amazon-roots.pem" }),
        ...environment,
      },
    });
  }
}

/** The architecture that `make package` built for, which it writes beside the functions. */
function packagedArchitecture(code: string): lambda.Architecture {
  const file = join(code, "architecture");
  const name = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  const known = new Map([
    ["arm64", lambda.Architecture.ARM_64],
    ["x86-64", lambda.Architecture.X86_64],
  ]);
  const architecture = known.get(name);
  if (!architecture) {
    throw new Error(`${file} names no architecture: build the functions with \`make package\``);
  }
  return architecture;
}

/** Invokes `target` with the records of the stream that the list maps to the function `name`. */
export function readStream(target: lambda.Function, name: MappedFunctionName, props: FunctionProps): void {
  const mapping = deployment.mappings[name];
  const stream = props.storage.streams[mapping.stream];
  const source: KinesisEventSourceProps = {
    startingPosition: lambda.StartingPosition.TRIM_HORIZON,
    batchSize: mapping.batchSize,
    maxBatchingWindow: Duration.seconds(mapping.batchingWindowSeconds),
    bisectBatchOnError: mapping.bisectOnError,
    reportBatchItemFailures: mapping.reportBatchItemFailures,
    maxRecordAge: Duration.seconds(mapping.maximumRecordAgeSeconds),
    // The functions skip repeated records by sequence number, which takes the records of a lane in order.
    parallelizationFactor: 1,
    onFailure: new SqsDlq(props.storage.queues[mapping.onFailure]),
    // An emulator only polls. There, `equilibrium run-event-sources` does what Lambda does on AWS.
    enabled: !props.endpoint,
  };
  if (!props.endpoint && props.fanOut.includes(name)) {
    const streamConsumerName = `${props.deployment}-${name}`;
    const consumer = new StreamConsumer(target, "consumer", { stream, streamConsumerName });
    target.addEventSource(new KinesisConsumerEventSource(consumer, source));
  } else {
    target.addEventSource(new KinesisEventSource(stream, source));
  }
}
