export * from "./concat.ts";
