// The HTTP API in front of the functions.
import * as apigateway from "aws-cdk-lib/aws-apigatewayv2";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import { Construct } from "constructs";
import { deployment, routedPaths, type FunctionName } from "./deployment.ts";
import type { Functions } from "./functions/functions.ts";

export class Api extends Construct {
  readonly http: apigateway.HttpApi;

  constructor(scope: Construct, id: string, prefix: string, functions: Functions) {
    super(scope, id);
    const integration = (name: FunctionName) => new HttpLambdaIntegration(name, functions.byName[name]);
    this.http = new apigateway.HttpApi(this, "http", {
      apiName: prefix,
      // It also answers 404 for every path that no function has.
      defaultIntegration: integration(deployment.defaultFunction),
    });
    for (const [path, name] of routedPaths) {
      // Any method: HEAD, OPTIONS and the refusal of other methods are the function's own answers.
      this.http.addRoutes({ path, integration: integration(name) });
    }
  }
}
