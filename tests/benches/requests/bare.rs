//! The statements of each request without the rest of it: without HTTP, JSON, counts beside a page, and idempotency keys. They are
//! sent from this process, and their rows are decoded into the types of the store.

use app_core::{
    clock::Clock,
    db::{NewestFirst, Pool},
    http::{Actor, ListId, Page, PageStart, Placed, with_layers},
    lambda::Delivery,
};
use axum::{Router, body::Body, extract::Request};
use chrono::{SubsecRound, TimeDelta};
use futures_util::{Stream, TryStreamExt, future::join_all};
use inventory::model::{
    DEFAULT_THRESHOLD, IndexId, ItemFilter, NewStockTransaction, PartNumber, StockAction, TransactionFilter,
};
use ros::{
    RosState,
    model::{
        ArchiveSelection, ArchiveStatus, ChangeContext, HistoryAction, OrderFilter, OrderKey, OrderPlace, OrderSort,
        RepairOrder, history_of_change,
    },
    store::SelectedOrders,
};
use rotracker_tests::app::{acquire, http_config};
use sqlx::Connection;
use tower::ServiceExt;

use crate::{
    CLIENTS, Case, PIECES,
    data::{self, Parts, Size},
    side::Side,
};

/// The state of the bare statements, which are sent to the database of a [`Side`].
pub(crate) struct Bare {
    /// One connection to each database.
    main: Pool,
    inventory: Pool,
    /// A connection for each of the clients at once.
    clients: Pool,
    router: Router,
    clock: Clock,
    parts: Parts,
    /// The ids of the orders that are read, get a status, and are moved.
    read: i64,
    with_status: i64,
    moved: i64,
    /// An order with all that a new one needs.
    example: RepairOrder,
    paid: SelectedOrders,
    middle_of_paid: PageStart<OrderPlace>,
    middle_of_ledger: PageStart<NewestFirst>,
    middle_of_log: PageStart<NewestFirst>,
}

impl Bare {
    pub(crate) async fn new(side: &Side, size: &Size) -> Self {
        let (main, inventory, clients) = (side.main.pool(1), side.inventory.pool(1), side.inventory.pool(CLIENTS));
        let clock = Clock::system(chrono_tz::Tz::UTC);
        let routes = ros::router(RosState::new(main.clone(), clock.clone()), false);
        let router = with_layers(routes, &http_config(), Delivery::Streaming);
        let read = data::order_id(&side.main, "RO1").await;
        let [orders, ledger, log] = size.middles();

        let mut connection = acquire(&main).await;
        let detail = ros::store::find(&mut connection, &OrderKey::Id(read)).await.unwrap().unwrap();
        let filter = OrderFilter::of_archive(ArchiveSelection::One(ArchiveStatus::Paid));
        let paid = ros::store::select(&mut connection, filter, clock.today()).await.unwrap();
        let last = PageStart::Offset(i64::from(orders) - 1);
        let page = ros::store::list_page(&mut connection, &paid, OrderSort::default(), &last, 1).await.unwrap();
        let middle_of_paid = PageStart::After(page[0].place.clone());
        drop(connection);
        let last = page_of(1, PageStart::Offset(i64::from(ledger) - 1));
        let ledger = inventory::store::list_transactions(inventory.clone(), &TransactionFilter::default(), &last);
        let last = page_of(1, PageStart::Offset(i64::from(log) - 1));
        let log = ai_logs::store::list(main.clone(), &ai_logs::model::LogFilter::default(), &last);
        Self {
            middle_of_ledger: PageStart::After(first_place(ledger).await),
            middle_of_log: PageStart::After(first_place(log).await),
            router,
            clients,
            parts: side.parts.clone(),
            read,
            with_status: data::order_id(&side.main, "RO4").await,
            moved: data::order_id(&side.main, "RO5").await,
            example: detail.order,
            paid,
            middle_of_paid,
            main,
            inventory,
            clock,
        }
    }

    /// Sends the statements of a round.
    pub(crate) async fn run(&self, case: Case, round: u32) {
        let is_even = round.is_multiple_of(2);
        let Parts { indexed, in_stock_room, .. } = &self.parts;
        match case {
            Case::Dashboard => {
                ros::store::dashboard(&mut *acquire(&self.main).await, self.clock.today()).await.unwrap();
            }
            Case::Order => {
                let key = OrderKey::Id(self.read);
                ros::store::find(&mut *acquire(&self.main).await, &key).await.unwrap().unwrap();
            }
            Case::List | Case::ListOfRouter => self.list().await,
            Case::Page => self.page(&PageStart::Offset(0)).await,
            Case::DeepPage => self.page(&self.middle_of_paid).await,
            Case::Create => self.create(round).await,
            Case::Status => {
                let status = if is_even { "WAITING QUOTE" } else { "APPROVED" };
                self.change(self.with_status, |order| order.current_status = Some(status.to_owned())).await;
            }
            Case::Move => {
                let archive = if is_even { ArchiveStatus::Paid } else { ArchiveStatus::Active };
                self.change(self.moved, |order| order.archive_status = archive).await;
            }
            Case::SearchExact => {
                let number = PartNumber::parse(indexed).unwrap();
                inventory::store::search_exact(&mut *acquire(&self.inventory).await, &number).await.unwrap();
            }
            Case::SearchPart => {
                let number = PartNumber::parse(&indexed[2..]).unwrap();
                inventory::store::search_index_containing(&mut *acquire(&self.inventory).await, &number).await.unwrap();
            }
            Case::LowStock => {
                let since = self.clock.now() - TimeDelta::days(90);
                drain(inventory::store::low_stock(self.inventory.clone(), DEFAULT_THRESHOLD, since)).await;
            }
            Case::FewHits => self.search_stock_room(&in_stock_room[2..]).await,
            Case::ManyHits => self.search_stock_room("valve").await,
            Case::Stats => {
                let since = self.clock.now() - TimeDelta::days(30);
                inventory::store::stats(&mut *acquire(&self.inventory).await, since).await.unwrap();
            }
            Case::Tables => {
                inventory::store::count_tables(&mut *acquire(&self.inventory).await).await.unwrap();
            }
            Case::Ledger => self.ledger(PageStart::Offset(0)).await,
            Case::DeepLedger => self.ledger(self.middle_of_ledger.clone()).await,
            Case::Logs => self.log(PageStart::Offset(0)).await,
            Case::DeepLogs => self.log(self.middle_of_log.clone()).await,
            Case::Decrement => self.decrement(&self.inventory, 1).await,
            Case::ContendedDecrement => {
                join_all((0..CLIENTS).map(|_| self.decrement(&self.clients, PIECES))).await;
            }
        }
    }

    /// Requests the list of orders from the router, and discards each part of the response as it comes.
    pub(crate) async fn list_of_router(&self) {
        let request = Request::get("/api/ros").body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert!(response.status().is_success());
        drain(response.into_body().into_data_stream()).await;
    }

    async fn list(&self) {
        let mut connection = acquire(&self.main).await;
        let query = sqlx::query_as::<_, RepairOrder>(
            "SELECT 'ACTIVE' AS archive, active.*
             FROM active
             ORDER BY NEXT_DATE_TO_UPDATE IS NULL, NEXT_DATE_TO_UPDATE, DATE_MADE DESC, id",
        );
        drain(query.fetch(&mut *connection)).await;
    }

    async fn page(&self, start: &PageStart<OrderPlace>) {
        let mut connection = acquire(&self.main).await;
        ros::store::list_page(&mut connection, &self.paid, OrderSort::default(), start, 50).await.unwrap();
    }

    async fn create(&self, round: u32) {
        let mut connection = acquire(&self.main).await;
        let mut transaction = connection.begin().await.unwrap();
        let order = RepairOrder { ro_number: format!("BARE{round}"), ..self.example.clone() };
        let id = ros::store::insert(&mut transaction, &order).await.unwrap();
        let order = RepairOrder { id, ..order };
        let entries =
            history_of_change(None, Some(&order), &context(HistoryAction::Created), self.clock.now()).unwrap();
        ros::store::insert_history(&mut transaction, &entries).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn change(&self, id: i64, set: impl FnOnce(&mut RepairOrder)) {
        let mut connection = acquire(&self.main).await;
        let mut transaction = connection.begin().await.unwrap();
        let locked = ros::store::lock(&mut transaction, &OrderKey::Id(id)).await.unwrap().unwrap();
        let mut order = locked.order.clone();
        set(&mut order);
        if order.archive_status == locked.order.archive_status {
            ros::store::update(&mut transaction, &order).await.unwrap();
        } else {
            ros::store::move_order(&mut transaction, &locked, &order).await.unwrap();
        }
        let context = context(HistoryAction::Updated);
        let entries = history_of_change(Some(&locked), Some(&order), &context, self.clock.now()).unwrap();
        ros::store::insert_history(&mut transaction, &entries).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn search_stock_room(&self, text: &str) {
        let filter = ItemFilter { search: Some(text.to_owned()), ..ItemFilter::default() };
        let table = inventory::model::Table::StockRoom;
        drain(inventory::store::list_items(self.inventory.clone(), table, &filter)).await;
    }

    async fn ledger(&self, start: PageStart<NewestFirst>) {
        let (filter, page) = (TransactionFilter::default(), page_of(50, start));
        drain(inventory::store::list_transactions(self.inventory.clone(), &filter, &page)).await;
    }

    async fn log(&self, start: PageStart<NewestFirst>) {
        let (filter, page) = (ai_logs::model::LogFilter::default(), page_of(50, start));
        drain(ai_logs::store::list(self.main.clone(), &filter, &page)).await;
    }

    /// Takes one piece `count` times, each in a transaction, on one connection of `pool`.
    async fn decrement(&self, pool: &Pool, count: u32) {
        let mut connection = acquire(pool).await;
        let index_id = IndexId(self.parts.taken_bare.index_id);
        for _ in 0..count {
            let mut transaction = connection.begin().await.unwrap();
            let stock = inventory::store::lock_stock(&mut transaction, index_id).await.unwrap().unwrap();
            let new_qty = stock.quantity.map(|quantity| quantity - 1);
            let entry = NewStockTransaction {
                timestamp: self.clock.now().trunc_subsecs(0),
                action: StockAction::Decrement,
                index_id,
                part_number: stock.part_number,
                previous_qty: stock.quantity,
                new_qty,
                ro_number: None,
                notes: None,
                actor: Actor::default(),
            };
            let set_quantity =
                inventory::store::set_quantity(&mut transaction, index_id, stock.table, new_qty, entry.timestamp);
            set_quantity.await.unwrap();
            inventory::store::insert_transaction(&mut transaction, &entry).await.unwrap();
            transaction.commit().await.unwrap();
        }
    }
}

fn context(action: HistoryAction) -> ChangeContext {
    ChangeContext { action, actor: Actor::default(), cost: None }
}

fn page_of<P>(limit: i64, start: PageStart<P>) -> Page<P> {
    Page { limit, start, list: ListId::new("benchmark", &()) }
}

async fn first_place<T, E: std::fmt::Debug>(
    rows: impl Stream<Item = Result<Placed<T, NewestFirst>, E>>,
) -> NewestFirst {
    let rows: Vec<_> = rows.try_collect().await.unwrap();
    rows[0].place.clone()
}

/// Receives all items and discards them.
async fn drain<T, E: std::fmt::Debug>(items: impl Stream<Item = Result<T, E>>) {
    items.try_for_each(async |_| Ok(())).await.unwrap();
}
