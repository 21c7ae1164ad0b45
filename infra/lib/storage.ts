// What outlives a function: streams, tables, queues and the cache.
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as elasticache from "aws-cdk-lib/aws-elasticache";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { names } from "./names.ts";

export interface StorageProps {
  /** What all names begin with. */
  deployment: string;
  /** Shards of the events' and the counts' streams. */
  shards: number;
}

export class Storage extends Construct {
  readonly tables: Record<string, dynamodb.Table> = {};
  readonly streams: Record<string, kinesis.Stream> = {};
  readonly queues: Record<string, sqs.Queue> = {};
  /** `redis://host:port` of the cache's primary. */
  readonly cacheUrl: string;

  constructor(scope: Construct, id: string, props: StorageProps) {
    super(scope, id);
    const name = (part: string) => `${props.deployment}-${part}`;

    for (const stream of names.streams) {
      this.streams[stream] = new kinesis.Stream(this, stream, {
        streamName: name(stream),
        // Changes are few: a city's lie in one shard, in order.
        shardCount: stream === "changes" ? 1 : props.shards,
        // Checkpoints are kept as long (CONTRACT §3: a replay of what the log holds finds its state).
        retentionPeriod: Duration.hours(24),
        removalPolicy: RemovalPolicy.DESTROY,
      });
    }
    for (const [table, shape] of Object.entries(names.tables)) {
      const type = (letter: "S" | "N") =>
        letter === "S" ? dynamodb.AttributeType.STRING : dynamodb.AttributeType.NUMBER;
      this.tables[table] = new dynamodb.Table(this, table, {
        tableName: name(table),
        partitionKey: { name: shape.partition, type: type(shape.partitionType) },
        ...(shape.sort ? { sortKey: { name: shape.sort, type: type(shape.sortType ?? "S") } } : {}),
        ...(shape.expires ? { timeToLiveAttribute: shape.expires } : {}),
        billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
        removalPolicy: RemovalPolicy.DESTROY,
      });
    }
    for (const queue of names.queues) {
      this.queues[queue] = new sqs.Queue(this, queue, {
        queueName: name(queue),
        retentionPeriod: Duration.days(14),
        enforceSSL: true,
      });
    }
    const cache = new elasticache.CfnReplicationGroup(this, "cache", {
      replicationGroupId: name("cache"),
      replicationGroupDescription: "Copies of the cities' maps",
      engine: "redis",
      cacheNodeType: "cache.t4g.micro",
      numCacheClusters: 1,
      automaticFailoverEnabled: false,
    });
    this.cacheUrl = `redis://${cache.attrPrimaryEndPointAddress}:${cache.attrPrimaryEndPointPort}`;
  }
}
