"""A stand-in for Telegram's Bot API that speaks HTTP and delivers by Telegram's own rules.

The rules were read in the Bot API server's source (tdlib/telegram-bot-api, WebhookActor.cpp and Client.cpp):

- any 2xx ends an update; anything else repeats it: at once, then after 2, 4, 8 ... up to a random 60-120 s;
  `Retry-After` (capped at an hour) replaces that delay and does not lengthen the next one;
- a failed connection is nobody's failure: the update waits for the next connection, tried every 2 s;
- one update at a time for each chat (and each user's button presses); different chats in parallel, up to
  `max_connections`;
- an update whose next attempt would come after its expiry is dropped: 24 h for messages, 150 s for button presses,
  30 s for inline queries;
- 60 s without an answer is a failure; 410 for 23 h deletes the webhook.
"""
