%% Computes below shop:serve and shop:price.
-module(shop).
-export([main/0, serve/1, price/2]).

main() ->
    io:format("ready~n"),
    serve(1).

serve(Item) ->
    Price = price(Item, 20000) rem 7 + 1,
    serve(Price).

price(Item, 0) -> Item;
price(Item, Times) -> price((Item * 31 + Times) rem 1000003, Times - 1).
