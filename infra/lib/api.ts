// The HTTP API before the functions that answer it.
import * as apigateway from "aws-cdk-lib/aws-apigatewayv2";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { Construct } from "constructs";
import type { Functions } from "./functions.ts";

export class Api extends Construct {
  readonly http: apigateway.HttpApi;

  constructor(scope: Construct, id: string, deployment: string, functions: Functions) {
    super(scope, id);
    this.http = new apigateway.HttpApi(this, "http", {
      apiName: deployment,
      // Cities, maps, prices, and the problem of a path that nobody answers.
      defaultIntegration: new HttpLambdaIntegration("price", functions.price),
    });
    this.http.addRoutes({
      path: "/v1/events",
      integration: new HttpLambdaIntegration("ingest", functions.ingest),
    });
  }
}
