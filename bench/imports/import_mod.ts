import "@asyncio/streams";
