// What a client of the API looks like with types made from the description: `npm run check` compiles it.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type RepairOrder = components["schemas"]["RepairOrderView"];

const client = createClient<paths>({
    baseUrl: "http://127.0.0.1:3001",
    headers: { authorization: "Bearer …" },
});

/** Repair orders: made out, read, changed, archived. */
export async function repairOrders(): Promise<RepairOrder> {
    const { data: created, error, response } = await client.POST("/api/ros", {
        // Sent again with the same key, it is entered once.
        params: { header: { "Idempotency-Key": crypto.randomUUID() } },
        body: {
            roNumber: "RO99001",
            shopName: "XYZ Repair Services",
            partDescription: "Landing gear actuator",
            currentStatus: "WAITING QUOTE",
            estimatedCost: "2500.00",
            dateMade: "2024-11-15",
        },
    });
    if (error) {
        const field: string | undefined = error.details?.fields?.["roNumber"];
        throw new Error(`${error.error}: ${field ?? error.message}`);
    }
    const number = { params: { path: { roNumber: created.roNumber } } };
    const changed = await client.PATCH("/api/ros/by-number/{roNumber}", {
        params: { ...number.params, header: { "If-Match": response.headers.get("ETag") ?? "*" } },
        body: { notes: null, finalCost: 2600.5 },
    });
    if (changed.response.status === 412) {
        throw new Error(`someone else was faster: ${changed.error?.message}`);
    }
    await client.PATCH("/api/ros/by-number/{roNumber}/status", { ...number, body: { status: "APPROVED" } });
    await client.POST("/api/ros/by-number/{roNumber}/archive", { ...number, body: { archiveStatus: "PAID" } });
    const { data: orders = [] } = await client.GET("/api/ros", { params: { query: { archiveStatus: "PAID", limit: 10 } } });
    const overdue: string[] = orders.filter((order) => order.isOverdue).map((order) => order.shopName ?? "(no shop)");
    console.log(overdue);
    const { data: order } = await client.GET("/api/ros/{id}", { params: { path: { id: created.id } } });
    const steps: string[] = order?.statusHistory.map((step) => `${step.status} by ${step.user ?? "somebody"}`) ?? [];
    console.log(steps);
    await client.DELETE("/api/ros/{id}", { params: { path: { id: created.id } } });
    const { data: past } = await client.GET("/api/ros/{id}/history", { params: { path: { id: created.id }, query: { limit: 5 } } });
    for (const { field, old, new: value } of past?.history.flatMap((entry) => entry.changes) ?? []) {
        console.log(`${field}: ${old} became ${value}`);
    }
    return order ?? created;
}

/** Inventory: a part is found and taken. */
export async function inventory(): Promise<number | null | undefined> {
    const { data: found } = await client.GET("/api/inventory/search", { params: { query: { partNumber: "MS20470AD4" } } });
    const part = found?.results[0];
    if (!part || part.indexId === null) {
        return undefined;
    }
    const { data: taken, response } = await client.POST("/api/inventory/decrement", {
        body: { indexId: part.indexId, partNumber: part.partNumber, quantity: 2 },
    });
    return response.status === 409 ? part.qty : taken?.newQty;
}

/** The assistant: its whole answer, and its events. */
export async function assistant(): Promise<void> {
    const messages = [{ role: "user", content: "What is overdue?" }] satisfies components["schemas"]["ChatMessage"][];
    const { data, error } = await client.POST("/api/ai/chat", { body: { messages } });
    if (error) {
        console.log(error.retryAfter);
    } else if (typeof data !== "string") {
        console.log(data.metadata.durationMs);
    }
    const streamed = await client.POST("/api/ai/chat", { body: { messages, stream: true }, parseAs: "stream" });
    const reader = streamed.data?.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        console.log(part.value);
    }
}

/** The log: an exchange is entered, and a page read. */
export async function logs(): Promise<string | undefined> {
    await client.POST("/api/ai-logs", {
        body: { conversationId: "c-1", user: "me@example.com", userMessage: "Hi", aiResponse: "", success: true },
    });
    const { data: page } = await client.GET("/api/ai-logs", { params: { query: { user: "me@example.com", limit: 10 } } });
    return page?.logs[0]?.conversationId;
}
