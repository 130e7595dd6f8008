/*
 * What the order service asks, asked through the AWS SDK for JavaScript.
 *
 *     node shop.mjs [QUESTION ...]
 *
 * asks each of the questions below as service.py does, faults included; without a name all of them.
 * DynamoDB is where the SDK looks: AWS_ENDPOINT_URL_DYNAMODB, the region and credentials say.
 */

import { randomUUID } from "node:crypto";
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
  paginateQuery,
  paginateScan,
} from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({});

// ---- with faults ----------------------------------------------------------------------------

/** Scan all orders, and filter them here. */
async function ordersOfACustomer() {
  const orders = await all(paginateScan({ client }, { TableName: "Orders" }));
  const found = orders.filter((order) => order.customer_id?.S === "C-00007");
  console.log(`C-00007 has ${found.length} orders`);
}

/** Scan all orders for one attribute. */
async function ordersWithCoupon() {
  const found = await all(paginateScan({ client }, {
    TableName: "Orders",
    FilterExpression: "coupon = :code",
    ExpressionAttributeValues: { ":code": { S: "FRIENDS" } },
  }));
  console.log(`FRIENDS was used for ${found.length} orders`);
}

/** Query, and get the customer of each order: N+1. */
async function ordersWithCustomers() {
  const orders = await query("Orders", "by-status", "status", "shipped");
  for (const order of orders) await customerOf(order);
  console.log(`${orders.length} orders are on their way`);
}

/** Query an index that lacks lines and address, and get each order for them. */
async function parcels() {
  for (let number = 0; number < 6; number++) await placeOrder(number);
  const entries = await query("Orders", "to-pack", "pack_at", "W1");
  for (const entry of entries) await get("Orders", { order_id: entry.order_id });
  console.log(`W1 has ${entries.length} orders to pack`);
}

/** Ask for the same products again and again. */
async function startPage() {
  let found = [];
  for (let turn = 0; turn < 40; turn++) found = await query("Products", undefined, "category", "books");
  console.log(`there are ${found.length} books`);
}

/** Ask for one customer three times as often as for all others: a hot key. */
async function customers() {
  for (let number = 1; number <= 50; number++) {
    for (const id of [padded("C-", number, 5), "C-00001", "C-00001", "C-00001"]) {
      await get("Customers", { customer_id: { S: id } });
    }
  }
}

/** Write in batches, and forget what comes back unprocessed. */
async function importProducts() {
  const puts = Array.from({ length: 30 }, (_, number) => ({
    PutRequest: {
      Item: {
        category: { S: "toys" },
        sku: { S: `N-${number}` },
        title: { S: "New" },
        price: { N: "1" },
        stock: { N: "3" },
      },
    },
  }));
  for (let start = 0; start < puts.length; start += 25) {
    const batch = puts.slice(start, start + 25);
    await client.send(new BatchWriteItemCommand({ RequestItems: { Products: batch } }));
  }
  console.log(`${puts.length} products imported`);
}

// ---- as it should be ------------------------------------------------------------------------

/** Ask what is asked as it should be. */
async function clean() {
  for (let number = 1; number < 8; number++) {
    const order = await get("Orders", { order_id: { S: padded("O-", number * 100, 6) } });
    await products(order.lines.L.map((line) => line.M));
    await customerOf(order);
    await query("Orders", "by-day", "order_date", padded("2025-11-", number, 2));
    await client.send(new UpdateItemCommand({
      TableName: "Orders",
      Key: { order_id: order.order_id },
      UpdateExpression: "SET #status = :status REMOVE pack_at",
      ConditionExpression: "attribute_exists(order_id)",
      ExpressionAttributeNames: { "#status": "status" },
      ExpressionAttributeValues: { ":status": { S: "shipped" } },
    }));
    await placeOrder(number);
  }
}

async function placeOrder(number) {
  const wanted = { category: { S: "books" }, sku: { S: padded("BO-", number + 1, 3) } };
  const [{ category, sku, title, price }] = await products([wanted]);
  await client.send(new PutItemCommand({
    TableName: "Orders",
    Item: {
      order_id: { S: `O-${randomUUID().slice(-12)}` },
      customer_id: { S: "C-00002" },
      placed_at: { S: "2026-01-01T12:00:00Z" },
      order_date: { S: "2026-01-01" },
      status: { S: "paid" },
      pack_at: { S: "W1" },
      channel: { S: "web" },
      currency: { S: "EUR" },
      total: price,
      lines: { L: [{ M: { category, sku, title, price, quantity: { N: "1" } } }] },
      address: {
        M: {
          name: { S: "A" },
          street: { S: "B" },
          zip: { S: "1" },
          city: { S: "C" },
          country: { S: "DE" },
        },
      },
    },
    ConditionExpression: "attribute_not_exists(order_id)",
  }));
}

/** Return an order's customer, where the order names one that there is. */
async function customerOf(order) {
  if (!/^C-\d{5}$/.test(order.customer_id?.S ?? "")) return undefined;
  return get("Customers", { customer_id: order.customer_id });
}

/** Return the products of some lines; what comes back unprocessed is asked for again. */
async function products(lines) {
  const keys = new Map(lines.map(({ category, sku }) => [`${category.S} ${sku.S}`, { category, sku }]));
  let wanted = { Products: { Keys: [...keys.values()] } };
  const found = [];
  while (wanted.Products?.Keys.length) {
    const answer = await client.send(new BatchGetItemCommand({ RequestItems: wanted }));
    found.push(...(answer.Responses.Products ?? []));
    wanted = answer.UnprocessedKeys ?? {};
  }
  return found;
}

// ---- how it is asked ------------------------------------------------------------------------

async function get(TableName, Key) {
  return (await client.send(new GetItemCommand({ TableName, Key }))).Item;
}

async function query(TableName, IndexName, name, value) {
  return all(paginateQuery({ client }, {
    TableName,
    IndexName,
    KeyConditionExpression: "#key = :value",
    ExpressionAttributeNames: { "#key": name },
    ExpressionAttributeValues: { ":value": { S: value } },
  }));
}

async function all(pages) {
  const found = [];
  for await (const page of pages) found.push(...page.Items);
  return found;
}

function padded(prefix, number, digits) {
  return prefix + String(number).padStart(digits, "0");
}

const QUESTIONS = {
  "orders-of-a-customer": ordersOfACustomer,
  "orders-with-coupon": ordersWithCoupon,
  "orders-with-customers": ordersWithCustomers,
  parcels,
  "start-page": startPage,
  customers,
  "import-products": importProducts,
  clean,
};

const asked = process.argv.slice(2);
for (const name of asked.length ? asked : Object.keys(QUESTIONS)) await QUESTIONS[name]();
