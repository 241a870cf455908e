"""The drivers' plain use of the server."""

import asyncio

import pymongo
from motor.motor_asyncio import AsyncIOMotorClient

from tocdemo.server import EmbeddedServer


def test_pymongo_reads_what_it_wrote():
    with EmbeddedServer() as server, pymongo.MongoClient(server.uri) as client:
        books = client.library.books
        key = books.insert_one({"title": "A"}).inserted_id
        assert books.update_one({"_id": key}, {"$set": {"title": "B"}}).modified_count == 1
        assert books.find_one({"_id": key}) == {"_id": key, "title": "B"}
        books.insert_many({"n": n} for n in range(300))
        assert len(list(books.find())) == 301
        assert books.find_one_and_update({"n": 5}, {"$inc": {"n": 1000}}, return_document=True)["n"] == 1005
        assert books.delete_many({"n": {"$lt": 100}}).deleted_count == 99
        client.drop_database("library")
        assert books.count_documents({}) == 0


def test_motor_reads_what_it_wrote():
    async def use(uri):
        client = AsyncIOMotorClient(uri)
        await client.library.books.insert_one({"_id": 1, "title": "A"})
        found = await client.library.books.find_one({"_id": 1})
        client.close()
        return found

    with EmbeddedServer() as server:
        assert asyncio.run(use(server.uri)) == {"_id": 1, "title": "A"}
