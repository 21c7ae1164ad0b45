// The cache of maps, from which `price` reads before it asks the table.
import * as elasticache from "aws-cdk-lib/aws-elasticache";
import type { Construct } from "constructs";

/** Creates the cache; returns the URL of its primary. */
export function createCache(scope: Construct, prefix: string): string {
  const cache = new elasticache.CfnReplicationGroup(scope, "cache", {
    replicationGroupId: `${prefix}-cache`,
    replicationGroupDescription: "Copies of the cities' maps",
    engine: "redis",
    cacheNodeType: "cache.t4g.micro",
    numCacheClusters: 1,
    automaticFailoverEnabled: false,
  });
  return `redis://${cache.attrPrimaryEndPointAddress}:${cache.attrPrimaryEndPointPort}`;
}
