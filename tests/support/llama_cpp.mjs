// node llama_cpp.mjs NODE-LLAMA-CPP FILE COUNT < a JSON list of texts
// Prints, for each text, its tokens and the COUNT tokens with which llama.cpp continues it greedily.
import {readFileSync} from "node:fs";
const [library, file, count] = process.argv.slice(2);
const {getLlama, LlamaLogLevel} = await import(library);
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 1});
const model = await llama.loadModel({modelPath: file});
const found = [];
for (const text of JSON.parse(readFileSync(0, "utf-8"))) {
  const tokens = model.tokenize(text, true), reply = [];
  const context = await model.createContext({contextSize: 256});
  for await (const token of context.getSequence().evaluate(tokens, {temperature: 0, yieldEogToken: true})) {
    if (reply.push(token) >= Number(count)) break;
  }
  await context.dispose();
  found.push([[...tokens], reply]);
}
console.log(JSON.stringify(found));
process.exit(0);
